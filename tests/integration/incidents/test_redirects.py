"""Where pages lead: never to the host that a request names, which anybody may choose."""

from __future__ import annotations

import httpx
from fastapi.routing import APIRoute

from sentryml_incidents.domain.roles import Role
from sentryml_incidents.web import api_page, assets
from sentryml_incidents.web.models import detail as model_page
from sentryml_incidents.web.models import overview
from tests.integration.incidents.conftest import Life, SignedIn
from tests.integration.incidents.test_forms import PARTS as FORMS

VALUES = {"model_id": "flights-delay", "reference": "1", "action": "note", "address": "app.css"}
EVIL = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
PARTS = (*FORMS, overview, model_page, assets, api_page)


def paths() -> list[str]:
    """An address for each page and each form, right and with a slash too many."""
    found = {route.path for part in PARTS for route in part.router.routes if isinstance(route, APIRoute)}
    assert len(found) > 40
    filled = [path.format_map({**dict.fromkeys(_names(path), "1"), **VALUES}) for path in sorted(found)]
    return [*filled, *(f"{path}/" for path in filled if path != "/"), "/v1/models/", "/livez/"]


def _names(path: str) -> list[str]:
    return [part[1:-1] for part in path.replace(":", "/").split("/") if part.startswith("{")]


async def test_no_redirect_names_a_host(signed_in: SignedIn, anonymous: httpx.AsyncClient, life: Life) -> None:
    await life.sees("critical")
    led = 0
    for browser in (anonymous, await signed_in("ada", Role.ADMIN)):
        for path in paths():
            answer = await browser.get(path, headers=EVIL)
            location = answer.headers.get("location", "")
            led += bool(location)
            assert "evil" not in location, path
            assert "//" not in location, path
    assert led > 20, "pages of people who are not signed in lead to the sign-in"
