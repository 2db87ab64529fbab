"""Signing in as a browser does: the form is fetched, filled in and sent, and the cookies are kept."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin

import httpx

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def token_of(page: httpx.Response) -> str:
    """The token that the forms of a page carry."""
    found = re.search(r'name="token" value="([0-9a-f]{128})"', page.text)
    assert found is not None, f"{page.status_code}: {page.text}"
    return found[1]


async def sign_in(client: httpx.AsyncClient, email: str, password: str, **more: str) -> httpx.Response:
    """Send the form of the sign-in page; returns the answer, and does not follow it."""
    form = await client.get("/sign-in")
    data = {"email": email, "password": password, "token": token_of(form), **more}
    return await client.post("/sign-in", data=data, headers=SAME_ORIGIN, follow_redirects=False)


async def submit(client: httpx.AsyncClient, page: str, action: str, **data: Any) -> httpx.Response:
    """Fetch a page, and send one of its forms; returns where that leads."""
    token = token_of(await client.get(page))
    answer = await client.post(action, data={"token": token, **data}, headers=SAME_ORIGIN)
    if answer.status_code != 303:
        return answer
    return await client.get(urljoin(str(answer.request.url), answer.headers["location"]))
