"""The page of API keys, as an admin's browser gets it."""

from __future__ import annotations

import re

import httpx
import pytest

from sentryml_common.postgres.pool import Pool
from tests.integration.incidents.conftest import PUBLIC_URL
from tests.integration.incidents.test_pages import text_of
from tests.support.signing_in import SAME_ORIGIN

WHOLE_KEY = r"sml_[0-9a-z]{12}_[\w-]{40,}"


async def post(browser: httpx.AsyncClient, path: str, **data: object) -> httpx.Response:
    return await browser.post(path, data=data, headers=SAME_ORIGIN)


async def answers(browser: httpx.AsyncClient, key: str) -> int:
    """What the API says to a key; asked without the browser's cookies."""
    transport = browser._transport
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as machine:
        return (await machine.get("/v1/models", headers={"Authorization": f"Bearer {key}"})).status_code


async def test_a_key_is_made_shown_once_used_rotated_and_revoked(admin: httpx.AsyncClient) -> None:
    assert "No key yet" in text_of(await admin.get("/keys"))
    shown = await post(admin, "/keys/make", name="nightly job", scopes=["read"], models="fraud-*, churn", days=90)
    (key,) = set(re.findall(WHOLE_KEY, shown.text))
    assert "for fraud-*, churn" in text_of(shown)
    assert shown.headers["Cache-Control"] == "no-store"
    assert await answers(admin, key) == 200
    listed = await admin.get("/keys")
    assert not re.search(WHOLE_KEY, listed.text)
    assert "nightly job" in text_of(listed)
    key_id = key.split("_")[1]
    (successor,) = set(re.findall(WHOLE_KEY, (await post(admin, f"/keys/{key_id}/rotate")).text))
    assert [await answers(admin, each) for each in (key, successor)] == [200, 200]
    assert "was rotated already" in text_of(await post(admin, f"/keys/{key_id}/rotate"))
    assert (await post(admin, f"/keys/{key_id}/revoke")).status_code == 303
    assert [await answers(admin, each) for each in (key, successor)] == [401, 200]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"name": "", "scopes": ["read"]}, "name:"),
        ({"name": "x"}, "scopes:"),
        ({"name": "x", "scopes": ["read"], "models": "no spaces, or/slashes"}, "models:"),
        ({"name": "sml_1yzuze6wvnw0_" + "A" * 43 + "abcdef", "scopes": ["read"]}, "No key was made"),
    ],
)
async def test_what_makes_no_key_is_said_in_words_and_makes_none(
    admin: httpx.AsyncClient, pool: Pool, data: dict[str, object], text: str
) -> None:
    answer = await post(admin, "/keys/make", **data)
    assert answer.status_code == 422
    assert text in text_of(answer)
    assert await pool.fetchval("SELECT count(*) FROM api_key") == 0


async def test_an_unknown_key_is_a_page_that_says_so(admin: httpx.AsyncClient) -> None:
    assert (await post(admin, "/keys/aaaaaaaaaaaa/revoke")).status_code == 404
    assert "there is no API key" in (await post(admin, "/keys/aaaaaaaaaaaa/rotate")).text.lower().replace("api", "API")
