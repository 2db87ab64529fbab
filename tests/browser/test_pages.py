"""Every page in a real Chromium: nobody is kept out, nothing is cut off, nothing is called that is not ours."""

from __future__ import annotations

import pytest

from tests.browser.checks import DESK, faults_of
from tests.browser.conftest import Visit
from tests.browser.pages import PAGES, Page
from tests.browser.scene import Scene


@pytest.mark.parametrize("listed", PAGES, ids=lambda each: each.name)
async def test_a_page_is_for_everybody_on_any_screen(listed: Page, scene: Scene, visit: Visit) -> None:
    async with visit(listed.role, viewport=DESK) as page:
        answer = await page.goto(listed.of(scene))
        assert answer is not None
        assert answer.status == listed.status
        assert "content-security-policy" in answer.headers
        faults = await faults_of(page)
    assert not faults, "\n".join(faults)
