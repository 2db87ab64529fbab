"""The whole stack, and a user of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from sentryml_local.stack import Stack
from tests.e2e.user import User, a_user
from tests.support.servers import a_stack


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """Everything: shared by the tests of this folder that do not harm it, and stopped after the last of them."""
    with pytest.MonkeyPatch.context() as patch:
        # Those of tests do not group alerts; here somebody reads them.
        patch.setenv("SENTRYML_GROUP_WAIT_SECONDS", "3")
        patch.setenv("SENTRYML_GROUP_WINDOW_SECONDS", "15")
        with a_stack() as running:
            yield running


@pytest.fixture(scope="package")
async def user(stack: Stack) -> AsyncIterator[User]:
    async with a_user(stack) as user:
        yield user
