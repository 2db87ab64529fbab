"""Accounts, one's own and other people's, as the pages manage them, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr

from sentryml_common.errors import ConfigurationError
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.cli.first_admin import make_first_admin
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.domain.sessions import hash_secret
from sentryml_incidents.settings import IncidentsSettings
from tests.integration.incidents.conftest import PASSWORD, MakeBrowser, SignedIn, StillClock, add_user
from tests.integration.incidents.test_pages import text_of
from tests.support.signing_in import SAME_ORIGIN, is_in, sign_in, submit

NEW = "another horse battery"


def initial_password_on(page: httpx.Response) -> str:
    found = re.search(r"<code>(.+)</code>", page.text)
    assert found is not None, page.text
    return found[1]


async def user_id_of(pool: Pool, name: str) -> str:
    return str(await pool.fetchval("SELECT user_id FROM app_user WHERE email = $1", f"{name}@example.org"))


async def test_sessions_are_listed_and_ended_one_by_one_and_all_others_at_once(
    signed_in: SignedIn, clock: StillClock
) -> None:
    first, second, third = [await signed_in("ana") for _ in range(3)]
    other = await signed_in("ben")
    page = await first.get("/account")
    hashes = re.findall(r'name="session" value="([0-9a-f]{64})"', page.text)
    assert (len(hashes), page.text.count("this one")) == (2, 1)
    of_ben = hash_secret(other.cookies["sentryml-session-80"])
    ended = await submit(first, "/account", "/account/revoke", session=hashes[0])
    assert "Ended: that browser has to sign in again." in text_of(ended)
    await submit(first, "/account", "/account/revoke", session=of_ben)
    assert [await is_in(each) for each in (first, second, third, other)].count(True) == 3
    assert await is_in(other), "nobody ends the sessions of others"
    await submit(first, "/account", "/account/revoke-others")
    assert [await is_in(each) for each in (first, second, third, other)] == [True, False, False, True]
    assert "Nowhere else." in text_of(await first.get("/account"))


async def test_changing_the_password_ends_all_other_sessions_and_renews_this_one(signed_in: SignedIn) -> None:
    here, elsewhere = await signed_in("ana"), await signed_in("ana")
    former = here.cookies["sentryml-session-80"]
    wrong = await submit(here, "/account", "/account/password", current="wrong", new=NEW)
    assert (wrong.status_code, "The address or the password is wrong." in text_of(wrong)) == (403, True)
    short = await submit(here, "/account", "/account/password", current=PASSWORD, new="short")
    assert (short.status_code, "A password must have 12 to 1000 characters" in text_of(short)) == (422, True)
    for weak, says in (("password1234", "a common one"), ("aaaaaaaaaaaa", "different"), ("my-ana@example.org", "ana@")):
        refused = await submit(here, "/account", "/account/password", current=PASSWORD, new=weak)
        assert (refused.status_code, says in text_of(refused)) == (422, True), weak
        assert "use several words" in text_of(refused)
    assert await is_in(elsewhere)
    assert (await submit(here, "/account", "/account/password", current=PASSWORD, new=NEW)).status_code == 200
    assert (await is_in(here), await is_in(elsewhere)) == (True, False)
    assert here.cookies["sentryml-session-80"] != former
    assert (await sign_in(elsewhere, "ana@example.org", PASSWORD)).status_code == 403
    assert (await sign_in(elsewhere, "ana@example.org", NEW)).status_code == 303


async def test_who_has_a_stolen_session_cannot_guess_the_password_for_long(signed_in: SignedIn) -> None:
    browser = await signed_in("ana")
    data = {"current": "guess", "new": NEW}
    answers = [await browser.post("/account/password", data=data, headers=SAME_ORIGIN) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert "Try again in 30 s." in text_of(answers[-1])


async def test_an_admin_adds_somebody_who_chooses_a_password_of_their_own(
    signed_in: SignedIn, browser_with: MakeBrowser
) -> None:
    ada = await signed_in("ada", Role.ADMIN)
    assert "Only you, so far." in text_of(await ada.get("/users"))
    added = await submit(ada, "/users", "/users/add", email="ben@example.org", role="responder")
    password = initial_password_on(added)
    assert "30 Nov 2026" in text_of(added)
    assert password not in (await ada.get("/users")).text
    again = await submit(ada, "/users", "/users/add", email="BEN@example.org", role="viewer")
    assert (again.status_code, "There is an account for BEN@example.org already." in text_of(again)) == (409, True)
    ben = browser_with()
    assert (await sign_in(ben, "ben@example.org", password)).status_code == 303
    await submit(ben, "/account", "/account/password", current=password, new=NEW)
    assert "ben@example.org responder" in text_of(await ben.get("/incidents"))


@pytest.mark.parametrize("data", [{"email": "no address"}, {"email": "a\x00@b"}, {"role": "root"}, {"role": ""}])
async def test_an_account_that_cannot_be_is_refused(signed_in: SignedIn, data: dict[str, str], pool: Pool) -> None:
    ada = await signed_in("ada", Role.ADMIN)
    form = {"email": "ben@example.org", "role": "viewer", **data}
    assert (await submit(ada, "/users", "/users/add", **form)).status_code == 422
    assert await pool.fetchval("SELECT count(*) FROM app_user") == 1


async def test_a_role_is_in_force_at_the_next_request(signed_in: SignedIn, pool: Pool) -> None:
    ada, ben = await signed_in("ada", Role.ADMIN), await signed_in("ben")
    page = f"/users/{await user_id_of(pool, 'ben')}"
    assert (await ben.get("/users")).status_code == 403
    await submit(ada, page, f"{page}/role", role="admin")
    assert (await ben.get("/users")).status_code == 200
    await submit(ada, page, f"{page}/role", role="viewer")
    assert (await ben.get("/users")).status_code == 403


async def test_disabling_and_resetting_end_all_sessions_at_once(
    signed_in: SignedIn, browser_with: MakeBrowser, pool: Pool
) -> None:
    ada, ben = await signed_in("ada", Role.ADMIN), await signed_in("ben")
    page = f"/users/{await user_id_of(pool, 'ben')}"
    assert "disabled since" in text_of(await submit(ada, page, f"{page}/disable"))
    assert await pool.fetchval("SELECT count(*) FROM session") == 1
    assert "disabled since" not in text_of(await submit(ada, page, f"{page}/enable"))
    assert not await is_in(ben), "enabling brings no session back"
    assert (await sign_in(ben, "ben@example.org", PASSWORD)).status_code == 303
    password = initial_password_on(await submit(ada, page, f"{page}/reset-password"))
    assert not await is_in(ben)
    assert (await sign_in(ben, "ben@example.org", PASSWORD)).status_code == 403
    assert (await sign_in(ben, "ben@example.org", password)).status_code == 303


async def test_the_last_admin_stays(signed_in: SignedIn, pool: Pool) -> None:
    ada = await signed_in("ada", Role.ADMIN)
    page = f"/users/{await user_id_of(pool, 'ada')}"
    disabled = await add_user(pool, "former", Role.ADMIN)
    await pool.execute("UPDATE app_user SET disabled_at = now() WHERE user_id = $1", disabled)
    for action, data in (("role", {"role": "viewer"}), ("disable", {})):
        answer = await submit(ada, page, f"{page}/{action}", **data)
        assert (answer.status_code, "This is the last admin" in text_of(answer)) == (409, True)
    assert (await submit(ada, page, f"{page}/reset-password")).status_code == 409
    assert (await ada.get("/users")).status_code == 200


async def test_two_admins_who_demote_each_other_at_once_leave_one(signed_in: SignedIn, pool: Pool) -> None:
    for round_ in range(2):
        names = (f"ada{round_}", f"bea{round_}")
        await pool.execute("UPDATE app_user SET role = 'viewer'")
        admins = [await signed_in(name, Role.ADMIN) for name in names]
        other = [await user_id_of(pool, name) for name in reversed(names)]
        await asyncio.gather(
            *(
                admin.post(f"/users/{who}/role", data={"role": "viewer"}, headers=SAME_ORIGIN)
                for admin, who in zip(admins, other, strict=True)
            )
        )
        assert await pool.fetchval("SELECT count(*) FROM app_user WHERE role = 'admin'") == 1


async def test_what_people_call_themselves_is_text_never_markup(signed_in: SignedIn, pool: Pool) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x>"
    ada = await signed_in("ada", Role.ADMIN)
    ada.headers["User-Agent"] = attack
    await submit(ada, "/account", "/sign-out")
    await sign_in(ada, "ada@example.org", PASSWORD)
    await submit(ada, "/account", "/account/name", name=attack)
    await submit(ada, "/users", "/users/add", email="<img/src=x>@example.org", role="viewer")
    ada_page = f"/users/{await user_id_of(pool, 'ada')}"
    for page in ("/account", "/users", ada_page, "/incidents"):
        text = (await ada.get(page)).text
        assert "&lt;script&gt;alert(1)" in text, page
        assert "<script>" not in text, page
        assert "<img" not in text, page


async def test_the_first_admin_comes_from_the_environment_once(
    pool: Pool, clock: StillClock, anonymous: httpx.AsyncClient
) -> None:
    settings = IncidentsSettings(first_admin_email="ada@example.org", first_admin_password=SecretStr(PASSWORD))
    made = await asyncio.gather(*(make_first_admin(pool, settings, clock.now) for _ in range(3)))
    assert sorted(made) == [False, False, True]
    assert (await sign_in(anonymous, "ada@example.org", PASSWORD)).status_code == 303
    assert (await anonymous.get("/users")).status_code == 200
    other = IncidentsSettings(first_admin_email="eve@example.org", first_admin_password=SecretStr(PASSWORD))
    assert not await make_first_admin(pool, other, clock.now + timedelta(days=1))
    weak = IncidentsSettings(first_admin_email="eve@example.org", first_admin_password=SecretStr("password1234"))
    assert not await make_first_admin(pool, weak, clock.now), "there is an account: nothing is asked of the password"
    assert await pool.fetchval("SELECT count(*) FROM app_user") == 1


@pytest.mark.parametrize(
    ("email", "password", "says"),
    [
        ("ada@example.org", "short", "SENTRYML_FIRST_ADMIN_PASSWORD: a password must have 12 to 1000 characters"),
        ("ada@example.org", None, "SENTRYML_FIRST_ADMIN_PASSWORD: a password must have 12 to 1000 characters"),
        ("ada@example.org", "password1234", "SENTRYML_FIRST_ADMIN_PASSWORD: this password is a common one"),
        (None, PASSWORD, "SENTRYML_FIRST_ADMIN_EMAIL: set it to an address"),
        ("ada", PASSWORD, "SENTRYML_FIRST_ADMIN_EMAIL: set it to an address"),
    ],
)
async def test_a_first_admin_that_cannot_be_is_a_configuration_error(
    pool: Pool, clock: StillClock, email: str | None, password: str | None, says: str
) -> None:
    secret = SecretStr(password) if password is not None else None
    with pytest.raises(ConfigurationError, match=says):
        await make_first_admin(pool, IncidentsSettings(first_admin_email=email, first_admin_password=secret), clock.now)
    assert await pool.fetchval("SELECT count(*) FROM app_user") == 0


async def test_without_a_first_admin_in_the_environment_nobody_has_an_account(pool: Pool, clock: StillClock) -> None:
    for nothing in (None, ""):
        secret = SecretStr(nothing) if nothing is not None else None
        settings = IncidentsSettings(first_admin_email=nothing, first_admin_password=secret)
        assert not await make_first_admin(pool, settings, clock.now)
    assert await pool.fetchval("SELECT count(*) FROM app_user") == 0
