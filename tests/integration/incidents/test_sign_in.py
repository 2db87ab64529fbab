"""Signing in, and how long that lasts, as a browser lives it, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest
from argon2 import PasswordHasher

from sentryml_common.postgres.pool import Pool, transaction
from sentryml_incidents import passwords
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.domain.throttle import Attempt, account_hash, network_of
from sentryml_incidents.store.people.sign_ins import take_attempt
from sentryml_incidents.store.people.users import disable_user
from sentryml_incidents.timer import Timer
from tests.integration.incidents.conftest import (
    PASSWORD,
    PUBLIC_URL,
    Life,
    MakeBrowser,
    SignedIn,
    StillClock,
    add_user,
)
from tests.integration.incidents.test_pages import text_of
from tests.support.signing_in import SAME_ORIGIN, is_in, sign_in, submit

HOME = "./models"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EMAIL = "ana@example.org"


@pytest.fixture
async def ana(pool: Pool) -> None:
    """There is an account."""
    await add_user(pool, "ana", Role.RESPONDER)


@pytest.mark.parametrize(
    ("page", "form"),
    [
        ("/incidents", "./sign-in?next=%2Fincidents"),
        ("/incidents/1?x=1&y=2", "../sign-in?next=%2Fincidents%2F1%3Fx%3D1%26y%3D2"),
        ("/account", "./sign-in?next=%2Faccount"),
    ],
)
async def test_a_page_leads_to_the_sign_in_and_back(
    anonymous: httpx.AsyncClient, ana: None, page: str, form: str
) -> None:
    away = await anonymous.get(page)
    assert (away.status_code, away.headers["location"]) == (303, form)
    asked = await anonymous.get(str(httpx.URL(PUBLIC_URL + page).join(form)))
    requested = page.replace("&", "&amp;")
    assert f'name="next" value="{requested}"' in asked.text
    back = await sign_in(anonymous, EMAIL, PASSWORD, next=page)
    assert (back.status_code, back.headers["location"]) == (303, f".{page}")


@pytest.mark.parametrize("elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x"])
async def test_nobody_is_led_elsewhere(anonymous: httpx.AsyncClient, ana: None, elsewhere: str) -> None:
    form = await anonymous.get("/sign-in", params={"next": elsewhere})
    assert "evil" not in form.text
    assert (await sign_in(anonymous, EMAIL, PASSWORD, next=elsewhere)).headers["location"] == HOME
    again = await anonymous.get("/sign-in", params={"next": elsewhere})
    assert (again.status_code, again.headers["location"]) == (303, HOME)


async def test_a_wrong_password_and_an_unknown_address_read_the_same(anonymous: httpx.AsyncClient, ana: None) -> None:
    wrong = await sign_in(anonymous, EMAIL, "wrong horse battery")
    unknown = await sign_in(anonymous, "eve@example.org", PASSWORD)
    for answer in (wrong, unknown):
        assert answer.status_code == 403
        assert "The address or the password is wrong." in text_of(answer)
    assert 'value="ana@example.org"' in wrong.text
    assert "horse" not in wrong.text
    assert not await is_in(anonymous)


async def test_the_cookie_is_for_pages_alone_and_its_secret_is_kept_nowhere(
    browser_with: MakeBrowser, ana: None, pool: Pool
) -> None:
    for public_url, name, secure in (
        (PUBLIC_URL, "sentryml-session-80", False),
        ("https://drift.example.org", "__Host-sentryml-session", True),
    ):
        browser = browser_with(public_url=public_url)
        answer = await sign_in(browser, "Ana@Example.ORG", PASSWORD)
        [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith(name)]
        _, *flags = cookie.lower().split("; ")
        assert set(flags) == {"httponly", "samesite=lax", "path=/", "max-age=604800"} | (
            {"secure"} if secure else set()
        )
        secret = cookie.split(";")[0].partition("=")[2]
        assert len(secret) == 43
        kept = str(await pool.fetch("SELECT * FROM session")) + str(await pool.fetch("SELECT * FROM app_user"))
        assert secret not in kept
        assert PASSWORD not in kept


async def test_each_sign_in_has_a_secret_of_its_own_and_ends_the_one_before(
    anonymous: httpx.AsyncClient, ana: None, pool: Pool
) -> None:
    secrets = set()
    for _ in range(2):
        await sign_in(anonymous, EMAIL, PASSWORD)
        secrets.add(anonymous.cookies["sentryml-session-80"])
    assert len(secrets) == 2
    assert await pool.fetchval("SELECT count(*) FROM session") == 1


async def test_a_secret_that_somebody_else_chose_opens_nothing(anonymous: httpx.AsyncClient, ana: None) -> None:
    anonymous.cookies.set("sentryml-session-80", "A" * 43, domain="sentryml.test")
    assert not await is_in(anonymous)
    await sign_in(anonymous, EMAIL, PASSWORD)
    assert anonymous.cookies["sentryml-session-80"] != "A" * 43


async def test_a_session_ends_when_it_is_not_used(
    anonymous: httpx.AsyncClient, ana: None, clock: StillClock, pool: Pool
) -> None:
    await sign_in(anonymous, EMAIL, PASSWORD)
    clock.now += 11 * HOUR
    assert await is_in(anonymous)
    clock.now += 12 * HOUR - MINUTE
    assert await is_in(anonymous)
    clock.now += 12 * HOUR
    assert not await is_in(anonymous)
    await Timer(pool, 90, clock).tick()
    assert await pool.fetchval("SELECT count(*) FROM session") == 0


async def test_a_session_ends_after_seven_days_of_use(
    anonymous: httpx.AsyncClient, ana: None, clock: StillClock
) -> None:
    await sign_in(anonymous, EMAIL, PASSWORD)
    began = clock.now
    while clock.now - began < 7 * DAY - 6 * HOUR:
        clock.now += 6 * HOUR
        assert await is_in(anonymous)
    clock.now = began + 7 * DAY
    assert not await is_in(anonymous)


async def test_use_is_written_down_once_a_minute(
    anonymous: httpx.AsyncClient, ana: None, clock: StillClock, pool: Pool
) -> None:
    await sign_in(anonymous, EMAIL, PASSWORD)
    began = clock.now
    for seconds, seen in ((59, 0), (60, 60), (119, 60), (120, 120)):
        clock.now = began + timedelta(seconds=seconds)
        assert await is_in(anonymous)
        assert await pool.fetchval("SELECT last_seen_at FROM session") == began + timedelta(seconds=seen)


async def test_signing_out_ends_the_session_for_good(anonymous: httpx.AsyncClient, ana: None) -> None:
    await sign_in(anonymous, EMAIL, PASSWORD)
    secret = anonymous.cookies["sentryml-session-80"]
    assert "Sign in" in text_of(await submit(anonymous, "/account", "/sign-out"))
    assert "sentryml-session-80" not in anonymous.cookies
    anonymous.cookies.set("sentryml-session-80", secret, domain="sentryml.test")
    assert not await is_in(anonymous)


async def guesses(pool: Pool, clock: StillClock, *made: tuple[str, str]) -> None:
    """Attempts on accounts from addresses, as they are written down, without the time that hashing takes."""
    for email, address in made:
        async with transaction(pool) as connection:
            attempt = Attempt(account_hash(email), network_of(address))
            assert not await take_attempt(connection, attempt, clock.now)


async def test_who_guesses_at_an_account_waits_longer_and_longer(
    browser_with: MakeBrowser, ana: None, clock: StillClock, pool: Pool
) -> None:
    await guesses(pool, clock, *((EMAIL, f"198.51.100.{number}") for number in range(4)))
    assert (await sign_in(browser_with("198.51.100.5"), EMAIL, "guess")).status_code == 403
    for wait, text in ((30, "30 s"), (60, "1 min"), (120, "2 min")):
        answer = await sign_in(browser_with("198.51.100.9"), EMAIL, PASSWORD)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, str(wait))
        assert f"Too many attempts. Try again in {text}." in text_of(answer)
        clock.now += timedelta(seconds=wait)
        if wait < 120:
            assert (await sign_in(browser_with("198.51.100.9"), EMAIL, "guess")).status_code == 403
    browser = browser_with("198.51.100.9")
    assert (await sign_in(browser, EMAIL, PASSWORD)).status_code == 303
    assert await pool.fetchval("SELECT count(*) FROM sign_in_attempt") == 0, "who is in has a clean slate"


async def test_guesses_of_others_never_keep_the_owner_out(
    browser_with: MakeBrowser, ana: None, clock: StillClock, pool: Pool
) -> None:
    known = browser_with("203.0.113.9")
    assert (await sign_in(known, EMAIL, PASSWORD)).status_code == 303
    await submit(known, "/account", "/sign-out")
    everywhere = [(EMAIL, f"10.0.{number}.1") for number in range(95)]
    await guesses(pool, clock, *everywhere, *((EMAIL, "203.0.113.66") for _ in range(5)))
    for address, wait in (("203.0.113.66", "30"), ("192.0.2.1", "10"), ("10.0.0.1", "10")):
        slowed = await sign_in(browser_with(address), EMAIL, PASSWORD)
        assert (slowed.status_code, slowed.headers["retry-after"]) == (429, wait), address
    for _ in range(2):
        assert (await sign_in(known, EMAIL, PASSWORD)).status_code == 303, "also in the guesser's own network"
        await submit(known, "/account", "/sign-out")
    assert await pool.fetchval("SELECT count(*) FROM known_browser") == 1, "one browser, whose cookie is new each time"


async def test_a_known_network_is_not_slowed_by_guesses_from_others(
    browser_with: MakeBrowser, ana: None, clock: StillClock, pool: Pool
) -> None:
    assert (await sign_in(browser_with("203.0.113.9"), EMAIL, PASSWORD)).status_code == 303
    await guesses(pool, clock, *((EMAIL, f"10.0.{number}.1") for number in range(100)))
    assert (await sign_in(browser_with("192.0.2.1"), EMAIL, PASSWORD)).status_code == 429
    assert (await sign_in(browser_with("203.0.113.10"), EMAIL, PASSWORD)).status_code == 303


async def test_a_known_browser_has_a_budget_of_its_own_and_for_its_own_account_alone(
    browser_with: MakeBrowser, ana: None, clock: StillClock, pool: Pool
) -> None:
    await add_user(pool, "ben", Role.VIEWER)
    known = browser_with("203.0.113.9")
    await sign_in(known, EMAIL, PASSWORD)
    await submit(known, "/account", "/sign-out")
    for _ in range(5):
        assert (await sign_in(known, EMAIL, "guess")).status_code == 403
    assert (await sign_in(known, EMAIL, PASSWORD)).status_code == 429
    assert (await sign_in(browser_with("203.0.113.9"), EMAIL, PASSWORD)).status_code == 303, "it costs no other browser"
    await guesses(pool, clock, *(("ben@example.org", "203.0.113.66") for _ in range(5)))
    assert (await sign_in(known, "ben@example.org", PASSWORD)).status_code == 429, "a stranger to this account"


async def test_a_browser_is_known_for_half_a_year_and_its_cookie_is_kept_nowhere(
    browser_with: MakeBrowser, ana: None, clock: StillClock, pool: Pool
) -> None:
    browser = browser_with()
    answer = await sign_in(browser, EMAIL, PASSWORD)
    name = "sentryml-browser-80"
    [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith(name)]
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=15552000"} <= set(cookie.split("; "))
    assert browser.cookies[name] not in str(await pool.fetch("SELECT * FROM known_browser"))
    before = browser.cookies[name]
    await submit(browser, "/account", "/sign-out")
    await sign_in(browser, EMAIL, PASSWORD)
    assert browser.cookies[name] != before
    await submit(browser, "/account", "/sign-out")
    clock.now += 180 * DAY
    await guesses(pool, clock, *((EMAIL, "198.51.100.66") for _ in range(5)))
    assert (await sign_in(browser, EMAIL, PASSWORD)).status_code == 429
    await Timer(pool, 90, clock).tick()
    assert await pool.fetchval("SELECT count(*) FROM known_browser") == 0


async def test_a_network_that_tries_many_accounts_waits_and_others_do_not(
    browser_with: MakeBrowser, ana: None, clock: StillClock, pool: Pool
) -> None:
    guesser = browser_with("2001:db8::1")
    await guesses(pool, clock, *((f"user{number}@example.org", "2001:db8::1") for number in range(29)))
    assert (await sign_in(guesser, "user29@example.org", "guess")).status_code == 403
    assert (await sign_in(browser_with("2001:db8::2"), EMAIL, PASSWORD)).status_code == 429
    assert (await sign_in(browser_with("2001:db8:0:1::1"), EMAIL, PASSWORD)).status_code == 303
    clock.now += timedelta(seconds=30)
    assert (await sign_in(guesser, EMAIL, PASSWORD)).status_code == 303
    assert "user29" not in str(await pool.fetch("SELECT * FROM sign_in_attempt"))
    clock.now += DAY
    await Timer(pool, 90, clock).tick()
    assert await pool.fetchval("SELECT count(*) FROM sign_in_attempt") == 0


async def test_many_guesses_at_once_count_like_many_in_a_row(anonymous: httpx.AsyncClient, ana: None) -> None:
    answers = await asyncio.gather(*(sign_in(anonymous, EMAIL, "guess") for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [403] * 5 + [429] * 7


async def test_a_disabled_account_is_out_at_once_and_stays_out(
    anonymous: httpx.AsyncClient, pool: Pool, clock: StillClock
) -> None:
    user_id = await add_user(pool, "ana", Role.RESPONDER)
    await sign_in(anonymous, EMAIL, PASSWORD)
    async with pool.acquire() as connection:
        await disable_user(connection, user_id, clock.now)
    assert not await is_in(anonymous)
    answer = await sign_in(anonymous, EMAIL, PASSWORD)
    assert (answer.status_code, "This account is disabled." in text_of(answer)) == (403, True)


async def test_an_initial_password_is_changed_first_and_runs_out(
    browser_with: MakeBrowser, pool: Pool, clock: StillClock
) -> None:
    await add_user(pool, "ana", Role.ADMIN, initial_password_until=clock.now + 7 * DAY)
    browser = browser_with()
    await sign_in(browser, EMAIL, PASSWORD)
    for page in ("/incidents", "/users"):
        assert (await browser.get(page)).headers["location"] == "./account"
    assert "Choose one of your own to go on." in text_of(await browser.get("/account"))
    same = await submit(browser, "/account", "/account/password", current=PASSWORD, new=PASSWORD)
    assert (same.status_code, "choose another" in text_of(same)) == (422, True)
    changed = await submit(browser, "/account", "/account/password", current=PASSWORD, new="my own battery")
    assert "Your password is changed." in text_of(changed)
    assert (await browser.get("/users")).status_code == 200
    await add_user(pool, "ben", Role.ADMIN, initial_password_until=clock.now + 7 * DAY)
    clock.now += 7 * DAY
    assert "has expired" in text_of(await sign_in(browser_with(), "ben@example.org", PASSWORD))


async def test_a_hash_of_another_cost_is_made_again_at_the_sign_in(
    anonymous: httpx.AsyncClient, pool: Pool, ana: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the cost that services have."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher())
    cheap = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    await pool.execute("UPDATE app_user SET password_hash = $1", cheap)
    assert (await sign_in(anonymous, EMAIL, PASSWORD)).status_code == 303
    kept = await pool.fetchval("SELECT password_hash FROM app_user")
    assert kept != cheap
    assert not PasswordHasher().check_needs_rehash(kept)


async def test_keys_open_no_page_and_sessions_open_no_api(
    api: httpx.AsyncClient, signed_in: SignedIn, life: Life
) -> None:
    await life.sees("critical")
    for page in ("/incidents", "/incidents/1", "/account", "/users"):
        assert (await api.get(page)).status_code == 303
    admin = await signed_in("ada", Role.ADMIN)
    for method, path in (("GET", "/v1/incidents"), ("GET", "/v1/api-keys"), ("POST", "/v1/incidents/1/acknowledge")):
        assert (await admin.request(method, path, headers=SAME_ORIGIN)).status_code == 401


async def test_without_postgres_the_sign_in_says_so(anonymous: httpx.AsyncClient, pool: Pool) -> None:
    await pool.close()
    answer = await sign_in(anonymous, EMAIL, PASSWORD)
    assert (answer.status_code, "The database does not answer" in text_of(answer)) == (503, True)
