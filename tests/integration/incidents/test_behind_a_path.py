"""Behind a real nginx that has put the pages under a path: signing in, forms, assets, live pages, links in messages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.transition import SYSTEM, Transition
from sentryml_common.outbox import Claim
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.domain.api_keys import RANDOM_BYTES, make_api_key
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.store.outbox import claim_transitions
from sentryml_incidents.store.people.api_keys import insert_api_key
from sentryml_incidents.streaming.hub import Hub
from sentryml_incidents.usecases.context import Context
from tests.integration.incidents.conftest import PASSWORD, Life, StillClock, add_user, app_on
from tests.integration.incidents.stream_clients import serving
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.nginx import nginx
from tests.support.ports import free_port
from tests.support.signing_in import SAME_ORIGIN
from tests.unit.incidents.builders import MODEL, MONDAY

HERE = "/sentryml/"
LOCATIONS = """
location /sentryml/ {{
    proxy_pass {server}/;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
}}
location / {{ return 418; }}
"""
LINK = re.compile(r'(?:href|src|action|formaction|data-stream)="([^"#]+)')


@pytest.fixture
async def proxied(pool: Pool, clock: StillClock, life: Life, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that reaches the service through nginx alone; its base address ends with the path."""
    await life.sees("critical")
    await add_user(pool, "ada", Role.ADMIN)
    port = free_port()
    address, stream = f"http://127.0.0.1:{port}", Hub("", clock)
    app = app_on(Context(address + HERE.rstrip("/"), clock, pool, stream))
    running = asyncio.create_task(stream.run(pool))
    async with serving(app, stream.close) as server:
        with nginx(tmp_path, port, LOCATIONS.format(server=server)):
            async with http_client(address, headers=SAME_ORIGIN) as browser:
                yield browser
    running.cancel()
    await asyncio.wait({running})


async def go(browser: httpx.AsyncClient, path: str) -> httpx.Response:
    """Follow redirects as a browser does, and see that none leaves the path."""
    answer = await browser.get(path, follow_redirects=True)
    assert all(urlsplit(str(each.url)).path.startswith(HERE) for each in (*answer.history, answer)), answer.history
    return answer


async def signed_in(browser: httpx.AsyncClient, page: str = "") -> httpx.Response:
    """Where the sign-in leads, for which a page has asked."""
    form = await go(browser, f"{HERE}{page}")
    assert form.url.path == f"{HERE}sign-in"
    (requested,) = re.findall(r'name="next" value="([^"]+)"', form.text)
    (action,) = re.findall(r'<form[^>]* action="([^"]+)"', form.text)
    data = {"email": "ada@example.org", "password": PASSWORD, "next": unescape(requested)}
    answer = await browser.post(urljoin(str(form.url), action), data=data)
    assert answer.status_code == 303, answer.text
    return await go(browser, urljoin(str(answer.url), answer.headers["location"]))


async def test_the_sign_in_leads_back_to_the_page_and_every_link_stays_under_the_path(
    proxied: httpx.AsyncClient,
) -> None:
    page = await signed_in(proxied, "incidents/1")
    assert (page.status_code, page.url.path) == (200, f"{HERE}incidents/1")
    seen: dict[str, int] = {}
    waiting = [str(page.url), urljoin(str(page.url), f"{HERE}account"), urljoin(str(page.url), HERE)]
    while waiting and len(seen) < 60:
        address = waiting.pop()
        if address in seen:
            continue
        answer = await go(proxied, address)
        seen[address] = answer.status_code
        if "html" not in answer.headers["content-type"]:
            continue
        for link in LINK.findall(answer.text):
            target = urljoin(str(answer.url), unescape(link))
            assert urlsplit(target).path.startswith(HERE), (address, link)
            follows = f'action="{link}' not in answer.text and "/live?" not in target
            waiting += [target] if follows and urlsplit(target).netloc == page.url.netloc.decode() else []
    assert len(seen) > 20
    wrong = {address: status for address, status in seen.items() if status != 200}
    assert not [address for address in wrong if "/alerts" not in address], wrong  # there is no notifier here


async def test_forms_work_and_lead_back(proxied: httpx.AsyncClient) -> None:
    page = await signed_in(proxied, "incidents/1")
    (action,) = re.findall(r'formaction="([^"]+/acknowledge)"', page.text)
    target = urljoin(str(page.url), action)
    answer = await proxied.post(target, data={"seen": '"v1"'})
    back = await go(proxied, urljoin(str(answer.url), answer.headers["location"]))
    assert (answer.status_code, back.url.path, "acknowledged" in back.text) == (303, f"{HERE}incidents/1", True)
    out = await proxied.post(f"{HERE}sign-out")
    assert urljoin(str(out.url), out.headers["location"]).endswith(f"{HERE}sign-in")


async def test_a_live_page_hears_of_what_happens(proxied: httpx.AsyncClient, life: Life) -> None:
    page = await signed_in(proxied, "incidents/1")
    (stream,) = re.findall(r'data-stream="([^"]+)"', page.text)
    received: list[str] = []
    async with proxied.stream("GET", urljoin(str(page.url), unescape(stream))) as answer:
        async for line in answer.aiter_lines():
            received += [line.partition(": ")[2]] if line.startswith("event") else []
            if received == ["live"]:
                await life.sees("ok")
            if "changed" in received:
                break
    assert received[0] == "live"


async def test_links_in_messages_and_in_the_api_lead_through_the_proxy(proxied: httpx.AsyncClient, pool: Pool) -> None:
    text, key = make_api_key("test", (Scope.READ,), (), None, bytes(RANDOM_BYTES))
    async with transaction(pool) as connection:
        await insert_api_key(connection, key, SYSTEM, MONDAY)

    async def claimed() -> list[Claim]:
        async with transaction(pool) as connection:
            return await claim_transitions(connection, MONDAY, str(proxied.base_url).rstrip("/") + "/sentryml")

    # The hub numbers the step for the stream: what it has locked at that moment is skipped.
    reported = await eventually(claimed, what="the step to be claimed")
    answer = await proxied.get(f"{HERE}v1/models/{MODEL}", headers={"Authorization": f"Bearer {text}"})
    message = reported[0].message
    assert isinstance(message, Transition)
    links = {answer.json()["incident"]["incident_url"], message.incident_url}
    await signed_in(proxied)
    for link in links:
        assert (await go(proxied, link)).status_code == 200
