"""What a real Chromium says of its forms: on this machine, on a host over plain HTTP, and from another site."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest
from fastapi import Request, Response
from playwright.async_api import Browser, Page, Route, expect

from sentryml_common.http.problems import install_problems
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.asgi import create_app
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.usecases.context import Context
from tests.integration.incidents.conftest import PASSWORD, StillClock, add_user
from tests.integration.incidents.stream_clients import serving
from tests.support.chromium import a_browser

Posted = list[tuple[str | None, str | None]]
"""(Sec-Fetch-Site, Origin) of each form that arrived."""

FOREIGN_FORM = """<form method="post" action="{action}"><input name="email" value="ana@example.org">
<input name="password" value="{password}"><input name="name" value="Mallory"><button>Win</button></form>"""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """For which all hosts are this machine, as far as connections go."""
    async with a_browser("--host-resolver-rules=MAP * 127.0.0.1") as running:
        yield running


@pytest.fixture(params=["localhost", "drift.lan"])
async def url(request: pytest.FixtureRequest, pool: Pool, clock: StillClock, posted: Posted) -> AsyncIterator[str]:
    """The public address of a running application, which Ana may sign in to."""
    await add_user(pool, "ana", Role.ADMIN)
    context = Context("http://not.known.yet", clock, pool)
    app = create_app(context)
    install_problems(app)

    @app.middleware("http")
    async def note(asked: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        if asked.method == "POST":
            posted.append((asked.headers.get("sec-fetch-site"), asked.headers.get("origin")))
        return await answer(asked)

    async with serving(app) as address:
        context.public_url = f"http://{request.param}:{urlsplit(address).port}"
        yield context.public_url


@pytest.fixture
def posted() -> Posted:
    return []


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


async def sign_in(page: Page, url: str) -> None:
    await page.goto(f"{url}/account")
    await page.get_by_label("E-mail").fill("ana@example.org")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator(".visitor")).to_contain_text("ana")


async def test_own_forms_are_taken_whatever_the_browser_says_of_them(page: Page, url: str, posted: Posted) -> None:
    await sign_in(page, url)
    await page.get_by_label("Name shown on timelines").fill("Ana")
    await page.get_by_role("button", name="Change the name").click()
    await expect(page.locator(".visitor")).to_contain_text("Ana")
    site = "same-origin" if "localhost" in url else None
    assert posted == [(site, url)] * 2


@pytest.mark.parametrize("form", ["/sign-in", "/account/name"])
async def test_forms_of_another_site_are_refused(page: Page, url: str, posted: Posted, pool: Pool, form: str) -> None:
    """The sign-in too, so that nobody works in an account that is not theirs."""
    if form != "/sign-in":
        await sign_in(page, url)
        posted.clear()

    async def foreign(route: Route) -> None:
        await route.fulfill(body=FOREIGN_FORM.format(action=url + form, password=PASSWORD), content_type="text/html")

    await page.route("http://evil.lan/**", foreign)
    sessions = await pool.fetchval("SELECT count(*) FROM session")
    await page.goto("http://evil.lan/")
    await page.get_by_role("button", name="Win").click()
    await expect(page.locator("main")).to_contain_text(f"was not sent from a page of SentryML at {url}")
    assert posted == [("cross-site" if "localhost" in url else None, "http://evil.lan")]
    assert await pool.fetchval("SELECT count(*) FROM session") == sessions
    assert await pool.fetchval("SELECT name FROM app_user") == "ana"
