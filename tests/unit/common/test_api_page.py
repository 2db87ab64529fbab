"""The page that describes an API: complete, escaped, and nothing on it comes from another host."""

from __future__ import annotations

import base64
import hashlib
import re

import httpx
from fastapi import FastAPI

from sentryml_common.http.api_page import install_api_page

HOSTILE = "</p><script>alert(1)</script>"


async def test_every_operation_is_on_the_page_and_nothing_of_another_host() -> None:
    app = FastAPI(
        title="SentryML example", description=f"What `this` does.\n\n{HOSTILE}", docs_url=None, redoc_url=None
    )
    for method in ("GET", "DELETE"):
        app.add_api_route("/v1/things/{thing_id}", a_thing, methods=[method], operation_id=method, tags=["things"])
    install_api_page(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://example.test") as client:
        page = await client.get("/docs")
    assert page.status_code == 200
    for method in ("GET", "DELETE"):
        assert f"{method} /v1/things/{{thing_id}}</h3>" in page.text
    assert "<code>this</code>" in page.text
    assert "<code>thing_id</code>" in page.text
    assert "<script" not in page.text
    assert "//" not in "".join(re.findall(r'(?:href|src)="([^"]*)"', page.text))
    style = re.search("<style>(.*)</style>", page.text, re.DOTALL)
    assert style is not None
    fingerprint = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{fingerprint}'" in page.headers["Content-Security-Policy"]


async def a_thing(thing_id: int) -> int:
    """One thing."""
    return thing_id
