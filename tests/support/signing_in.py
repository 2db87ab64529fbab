"""Signing in, and sending forms, as a browser does."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import httpx

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


async def sign_in(client: httpx.AsyncClient, email: str, password: str, **more: str) -> httpx.Response:
    """Send the form of the sign-in page; returns the answer, and does not follow it."""
    data = {"email": email, "password": password, **more}
    return await client.post("/sign-in", data=data, headers=SAME_ORIGIN, follow_redirects=False)


async def submit(client: httpx.AsyncClient, page: str, action: str, **data: Any) -> httpx.Response:
    """Fetch a page, and send one of its forms; returns where that leads."""
    await client.get(page)
    answer = await client.post(action, data=data, headers=SAME_ORIGIN)
    if answer.status_code != 303:
        return answer
    return await client.get(urljoin(str(answer.request.url), answer.headers["location"]))


async def is_in(browser: httpx.AsyncClient) -> bool:
    """Whether somebody is signed in in a browser."""
    return (await browser.get("/account")).status_code == 200
