"""What browsers load with a page, and what they may: through the real application."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import httpx
import pytest

from tests.integration.incidents.conftest import Life
from tests.unit.incidents.builders import MODEL

NAMED = re.compile(r'<(?:link|script)[^>]+(?:href|src)="([^"]+)"')


@pytest.mark.parametrize("path", ["/models", f"/models/{MODEL}", "/incidents", "/incidents/1", "/account", "/docs"])
async def test_all_that_a_page_loads_is_ours_and_kept_for_good(
    reader: httpx.AsyncClient, life: Life, path: str
) -> None:
    await life.sees("critical")
    page = await reader.get(path)
    named = NAMED.findall(page.text)
    assert [each for each in named if "/static/app." in each]
    for each in named:
        assert re.fullmatch(r"(\.|\.\.)/static/[a-z.]+\.[0-9a-f]{12}\.(css|js|svg)", each)
        answer = await reader.get(urljoin(str(page.url), each))
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_page_may_load_from_here_alone_and_hold_no_script(reader: httpx.AsyncClient, life: Life) -> None:
    await life.sees("critical")
    for path in ("/models", f"/models/{MODEL}", "/incidents/1"):
        page = await reader.get(path)
        rules = dict(rule.strip().split(" ", 1) for rule in page.headers["Content-Security-Policy"].split(";"))
        assert rules["default-src"] == "'none'"
        assert {rules[name] for name in ("script-src", "connect-src", "style-src", "img-src")} == {"'self'"}
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert re.findall(r"<script(?! src=)|<style|\son\w+=|\sstyle=", page.text) == []


async def test_the_api_is_described_here_without_another_hosts_scripts(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    schema = (await anonymous.get("/openapi.json")).json()
    for path, operations in schema["paths"].items():
        for method in operations:
            assert f"{method.upper()} {path}</h3>" in page.text
    assert "<code>Authorization: Bearer sml_…</code>" in page.text
    assert "//" not in "".join(re.findall(r'(?:href|src)="([^"]*)"', page.text))


@pytest.mark.parametrize("name", ["app.css", "app.000000000000.css", "vendor/idiomorph.min.js", "..%2Fapp.py", "%00"])
async def test_a_plain_name_or_a_wrong_hash_is_not_there(anonymous: httpx.AsyncClient, name: str) -> None:
    answer = await anonymous.get(f"/static/{name}")
    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("Cache-Control", "")


async def test_files_and_pages_are_compressed_for_who_takes_it(reader: httpx.AsyncClient) -> None:
    page = await reader.get("/models", headers={"Accept-Encoding": "gzip"})
    sheet = urljoin(str(page.url), next(each for each in NAMED.findall(page.text) if "app." in each))
    for path in ("/models", sheet):
        small = await reader.get(path, headers={"Accept-Encoding": "gzip"})
        large = await reader.get(path, headers={"Accept-Encoding": "identity"})
        assert small.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in large.headers
        assert small.headers["Vary"] == large.headers["Vary"] == "Accept-Encoding"
        assert int(small.headers["Content-Length"]) < int(large.headers["Content-Length"])
        assert abs(len(small.content) - len(large.content)) < 10
