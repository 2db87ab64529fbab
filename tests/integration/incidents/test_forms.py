"""Every form of the pages: who may send it, and that no other site can. On a real PostgreSQL."""

from __future__ import annotations

from functools import reduce
from uuid import UUID

import httpx
import pytest
from fastapi.routing import APIRoute

from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.contracts.transition import SYSTEM
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.store.people.api_keys import insert_api_key
from sentryml_incidents.web import pages
from sentryml_incidents.web.alerts import channels as alert_channels
from sentryml_incidents.web.alerts import deliveries as alert_deliveries
from sentryml_incidents.web.alerts import overview as alerts
from sentryml_incidents.web.alerts import routes as alert_routes
from sentryml_incidents.web.incidents import list as incident_list
from sentryml_incidents.web.models import checklist, monitor_switch
from sentryml_incidents.web.models import delete as delete_page
from sentryml_incidents.web.models import monitor as monitor_page
from sentryml_incidents.web.people import account, sign_in, users
from sentryml_incidents.web.people import api_keys as keys
from tests.integration.incidents.conftest import PASSWORD, Life, SignedIn, add_user
from tests.integration.incidents.test_pages import text_of
from tests.support.signing_in import SAME_ORIGIN
from tests.unit.incidents.builders import MODEL, MONDAY

BEN = UUID(int=7)
KEY = "testkey00000"
ROUTE, CHANNEL, DELIVERY = UUID(int=8), UUID(int=9), UUID(int=10)
ALERTS = (alerts, alert_deliveries, alert_routes, alert_channels)
EVERYBODY, RESPONDERS, ADMINS = set(Role), {Role.RESPONDER, Role.ADMIN}, {Role.ADMIN}

FORMS: dict[str, tuple[set[Role], dict[str, str]]] = {
    "/incidents/1/acknowledge": (RESPONDERS, {"seen": '"v1"'}),
    "/incidents/1/unacknowledge": (RESPONDERS, {"seen": '"v1"'}),
    "/incidents/1/close": (RESPONDERS, {"seen": '"v1"'}),
    "/incidents/1/note": (RESPONDERS, {"seen": '"v1"', "note": "x"}),
    "/incidents/bulk": (RESPONDERS, {"do": "acknowledge", "picked": "1 v1"}),
    "/sign-out": (EVERYBODY, {}),
    "/account/name": (EVERYBODY, {"name": "x"}),
    "/account/password": (EVERYBODY, {"current": "wrong", "new": "wrong horse battery"}),
    "/account/revoke": (EVERYBODY, {"session": "0" * 64}),
    "/account/revoke-others": (EVERYBODY, {}),
    "/keys/make": (ADMINS, {"name": "x", "scopes": "read"}),
    f"/keys/{KEY}/rotate": (ADMINS, {}),
    f"/keys/{KEY}/revoke": (ADMINS, {}),
    "/models/checklist/hide": (ADMINS, {}),
    "/models/checklist/show": (ADMINS, {}),
    f"/keys/{KEY}/test-event": (ADMINS, {"key": "x"}),
    "/users/add": (ADMINS, {"email": "eve@example.org", "role": "viewer"}),
    f"/users/{BEN}/role": (ADMINS, {"role": "responder"}),
    f"/users/{BEN}/disable": (ADMINS, {}),
    f"/users/{BEN}/enable": (ADMINS, {}),
    f"/users/{BEN}/reset-password": (ADMINS, {}),
    f"/alerts/deliveries/{DELIVERY}/retry": (RESPONDERS, {}),
    "/alerts/routes/make": (ADMINS, {"name": "x"}),
    f"/alerts/routes/{ROUTE}/change": (ADMINS, {"seen": "1", "name": "x"}),
    f"/alerts/routes/{ROUTE}/remove": (ADMINS, {"seen": "1"}),
    "/alerts/channels/make": (ADMINS, {"kind": "webhook", "name": "x"}),
    f"/alerts/channels/{CHANNEL}/test": (RESPONDERS, {}),
    f"/alerts/channels/{CHANNEL}/change": (ADMINS, {"name": "x"}),
    f"/alerts/channels/{CHANNEL}/fallback": (ADMINS, {"fallback": ""}),
    f"/alerts/channels/{CHANNEL}/remove": (ADMINS, {}),
    f"/models/{MODEL}/monitor/save": (RESPONDERS, {"version": "1", "signals": "score", "warn": "0.15"}),
    f"/models/{MODEL}/monitor/preview": (RESPONDERS, {"version": "1", "signals": "score"}),
    f"/models/{MODEL}/monitor/advice": (RESPONDERS, {"version": "1", "signals": "score"}),
    f"/models/{MODEL}/monitor/disable": (RESPONDERS, {"version": "1", "sure": "true"}),
    f"/models/{MODEL}/monitor/enable": (RESPONDERS, {"version": "1"}),
    f"/models/{MODEL}/delete/confirm": (ADMINS, {"confirmation": "x"}),
}
"""Every form but the sign-in: who may send it, and what is in it."""

TABLES = ("incident", "transition", "app_user", "session", "api_key", "monitor_version", "model")

PARTS = (
    pages,
    checklist,
    incident_list,
    sign_in,
    account,
    keys,
    users,
    *ALERTS,
    monitor_page,
    monitor_switch,
    delete_page,
)


def test_the_table_holds_every_form() -> None:
    routes = [route for part in PARTS for route in part.router.routes]
    unsafe = [each for each in routes if isinstance(each, APIRoute) and not each.methods <= {"GET", "HEAD"}]
    here = {route.path for route in unsafe} - {"/sign-in"}
    parts = {
        "/1/": "/{reference}/", str(BEN): "{user_id}", KEY: "{key_id}", str(ROUTE): "{route_id}",
        str(CHANNEL): "{channel_id}", str(DELIVERY): "{delivery_id}", MODEL: "{model_id}",
    }  # fmt: skip
    known = {reduce(lambda path, part: path.replace(*part), parts.items(), path) for path in FORMS}
    actions = {path for path in known if path.startswith("/incidents/{reference}/")}
    assert here == known - actions | {"/incidents/{reference}/{action}"}


@pytest.fixture
async def world(pool: Pool, life: Life) -> None:
    """An incident, an account and a key to do things to."""
    await life.sees("critical")
    ben = await add_user(pool, "ben", Role.VIEWER)
    await pool.execute("UPDATE app_user SET user_id = $2 WHERE user_id = $1", ben, BEN)
    key = ApiKey(key_id=KEY, name="k", key_hash="0" * 64, scopes=(Scope.READ,), models=(), expires_at=None)
    async with transaction(pool) as connection:
        await insert_api_key(connection, key, SYSTEM, MONDAY)


async def contents(pool: Pool) -> str:
    rows = [await pool.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in TABLES]
    return str(rows)


@pytest.mark.parametrize("role", Role)
async def test_each_role_may_send_what_the_table_says(world: None, signed_in: SignedIn, pool: Pool, role: Role) -> None:
    browser = await signed_in("ana", role)
    for path, (roles, data) in sorted(FORMS.items(), key=lambda form: form[0] == "/sign-out"):
        before = await contents(pool)
        answer = await browser.post(path, data=data, headers=SAME_ORIGIN)
        if role in roles:
            assert "needs the role" not in text_of(answer), path
            assert answer.status_code != 404, path
        else:
            assert answer.status_code == 403, path
            assert f"yours is {role}. An admin can change it." in text_of(answer)
            assert await contents(pool) == before, path


async def test_without_a_session_no_form_is_taken(world: None, anonymous: httpx.AsyncClient, pool: Pool) -> None:
    before = await contents(pool)
    for path, (_, data) in FORMS.items():
        answer = await anonymous.post(path, data=data, headers=SAME_ORIGIN)
        assert (answer.status_code, "sign-in?next=%2F" in answer.headers["location"]) == (303, True), path
    assert await contents(pool) == before


FOREIGN, UNKNOWN = "was not sent from a page of SentryML at http://sentryml.test", "not known which site sent it"
REFUSED: tuple[tuple[dict[str, str], str], ...] = (
    ({"Sec-Fetch-Site": "cross-site"}, FOREIGN),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://sentryml.test"}, FOREIGN),
    ({"Sec-Fetch-Site": "same-site"}, FOREIGN),
    ({"Sec-Fetch-Site": "none"}, FOREIGN),
    ({"Origin": "http://evil.example"}, FOREIGN),
    ({"Origin": "http://sentryml.test:8701"}, FOREIGN),
    ({"Origin": "null"}, FOREIGN),
    ({"Referer": "http://sentryml.test/account"}, UNKNOWN),
)


@pytest.mark.parametrize("signed_in_before", [True, False], ids=["signed in", "not signed in"])
async def test_no_other_site_can_send_a_form(
    world: None, signed_in: SignedIn, anonymous: httpx.AsyncClient, pool: Pool, signed_in_before: bool
) -> None:
    """Nor the sign-in: nobody finds themselves in an account that somebody else has signed them in to."""
    ada = await signed_in("ada", Role.ADMIN)
    browser = ada if signed_in_before else anonymous
    sign_in_form = {"/sign-in": (EVERYBODY, {"email": "ada@example.org", "password": PASSWORD})}
    before = await contents(pool)
    for path, (_, data) in {**FORMS, **sign_in_form}.items():
        for headers, says in REFUSED:
            answer = await browser.post(path, data=data, headers=headers)
            assert (answer.status_code, says in text_of(answer)) == (403, True), (path, headers)
            assert "set-cookie" not in answer.headers
    assert await contents(pool) == before


async def test_a_browser_that_says_only_its_origin_is_taken(signed_in: SignedIn) -> None:
    browser = await signed_in("ana")
    answer = await browser.post("/account/name", data={"name": "Ana"}, headers={"Origin": "http://sentryml.test"})
    assert answer.status_code == 303


@pytest.mark.parametrize("path", ["/users/nonsense", f"/users/{UUID(int=0)}", "/incidents/9", "/incidents?state=odd"])
async def test_what_is_not_there_is_a_page_that_says_so(signed_in: SignedIn, path: str) -> None:
    answer = await (await signed_in("ada", Role.ADMIN)).get(path)
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"].startswith("text/html")
    assert "Sign out" in answer.text
