"""Deleting a model on its page, in two steps. Through the real application on a real PostgreSQL."""

from __future__ import annotations

import re

import httpx
import pytest

from sentryml_incidents.domain.roles import Role
from tests.integration.incidents.conftest import Life, SignedIn
from tests.integration.incidents.test_pages import text_of
from tests.support.signing_in import SAME_ORIGIN, submit
from tests.unit.incidents.builders import MODEL

PAGE = f"/models/{MODEL}/delete"


@pytest.fixture
async def ada(signed_in: SignedIn) -> httpx.AsyncClient:
    """A browser in which an admin is signed in."""
    return await signed_in("ada", Role.ADMIN)


def confirmation_of(page: httpx.Response) -> str:
    found = re.search(r'name="confirmation" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


async def test_the_first_step_says_what_would_be_lost_and_the_second_does_it(
    ada: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    await life.sees("ok", "critical")
    assert f"/models/{MODEL}/delete" in (await ada.get(f"/models/{MODEL}")).text
    page = await ada.get(PAGE)
    text = text_of(page)
    assert "Its live incident #1 is closed" in text
    assert "Lost: 2 evaluations" in text
    assert "Kept, read-only: 1 incident with" in text
    assert (await api.get(f"/v1/models/{MODEL}")).status_code == 200, "looking deletes nothing"
    done = await submit(ada, PAGE, f"{PAGE}/confirm", confirmation=confirmation_of(page))
    assert (done.status_code, "is deleted" in text_of(done)) == (200, True)
    assert (await api.get(f"/v1/models/{MODEL}")).status_code == 404
    (*_, last) = (await api.get("/v1/incidents/1/timeline")).json()["items"]
    assert (last["cause"], last["actor"]["name"]) == ("model_deleted", "ada")


async def test_a_model_that_has_changed_meanwhile_is_shown_again(
    ada: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    confirmation = confirmation_of(await ada.get(PAGE))
    await life.sees("critical")
    for given in (confirmation, "", "nonsense"):
        answer = await submit(ada, PAGE, f"{PAGE}/confirm", confirmation=given)
        text = text_of(answer)
        assert answer.status_code == 409
        assert "Nothing was deleted:" in text
        assert "Its live incident #1 is closed" in text
    assert (await api.get(f"/v1/models/{MODEL}")).status_code == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.RESPONDER])
async def test_only_admins_find_it(signed_in: SignedIn, api: httpx.AsyncClient, life: Life, role: Role) -> None:
    browser = await signed_in("ben", role)
    model = await browser.get(f"/models/{MODEL}")
    assert f"/models/{MODEL}/delete" not in model.text
    assert (await browser.get(PAGE)).status_code == 403
    answer = await browser.post(f"{PAGE}/confirm", data={"confirmation": "x"}, headers=SAME_ORIGIN)
    assert answer.status_code == 403
    assert (await api.get(f"/v1/models/{MODEL}")).status_code == 200
