"""A browser, a stack and a scene for all browser tests; all three end after the last of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest
from playwright.async_api import Browser, Page

from sentryml_local.stack import Stack
from tests.browser.scene import Scene, a_scene
from tests.browser.visiting import a_visit
from tests.support.chromium import a_browser
from tests.support.servers import a_stack

Visit = Callable[..., AbstractAsyncContextManager[Page]]
"""Opens a tab: `visit(role)`, or `visit(None)` for somebody who has not signed in."""


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """Everything."""
    with a_stack() as running:
        yield running


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as running:
        yield running


@pytest.fixture(scope="package")
async def bare_scene(stack: Stack) -> AsyncIterator[Scene]:
    """People and keys, and not one model."""
    async with a_scene(stack) as setting:
        yield setting


@pytest.fixture(scope="package")
async def scene(bare_scene: Scene) -> Scene:
    """The same with models and incidents of every kind."""
    await bare_scene.set_models()
    return bare_scene


@pytest.fixture
def visit(browser: Browser, bare_scene: Scene) -> Visit:
    return partial(a_visit, browser, bare_scene)


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def scripts(request: pytest.FixtureRequest) -> bool:
    """Whether the browser runs JavaScript: what can be done can be done both ways."""
    return bool(request.param)
