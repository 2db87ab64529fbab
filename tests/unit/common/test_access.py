"""Who gets in: the holder of a valid key with the scope; every refusal says what to do, and no more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sentryml_common.contracts.api_key import Scope, form_key
from sentryml_common.http.access import Gatekeeper
from sentryml_common.http.problems import Problem
from sentryml_common.key_usage import KeyUsage
from tests.unit.common.keys import KEY, KEY_ID, NOW, api_key, gatekeeper_of, known_keys

BEARER = f"Bearer {KEY}"


def refusal(gatekeeper: Gatekeeper, authorization: str | None) -> Problem:
    with pytest.raises(Problem) as refused:
        gatekeeper.admit(authorization)
    return refused.value


@pytest.mark.parametrize("authorization", [BEARER, f"bearer {KEY}", f"BEARER {KEY}"])
def test_a_valid_key_gets_in(authorization: str) -> None:
    key = api_key()
    assert gatekeeper_of(key).admit(authorization) == key


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", KEY, f"Basic {KEY}"])
def test_without_a_key_it_is_401_with_how_to_send_one(authorization: str | None) -> None:
    problem = refusal(gatekeeper_of(api_key()), authorization)
    assert (problem.status, problem.kind) == (401, "unauthorized")
    assert "Authorization: Bearer" in problem.detail
    assert problem.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("key", "authorization"),
    [
        (api_key(), "Bearer sml_typo"),
        (api_key(), f"Bearer {KEY[:-1]}0"),
        (api_key(), f"Bearer {KEY} "),
        (api_key(), "Bearer " + form_key("unknown00000", "s" * 43)),
        (api_key(), "Bearer " + form_key(KEY_ID, "w" * 43)),
        (api_key(expires_at=NOW), BEARER),
        (api_key(revoked_at=NOW - timedelta(days=1)), BEARER),
    ],
    ids=["no key", "checksum", "blank", "unknown", "wrong secret", "expired", "revoked"],
)
def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(key: object, authorization: str) -> None:
    problem = refusal(gatekeeper_of(key), authorization)
    assert (problem.status, problem.kind) == (401, "unauthorized")
    assert problem.detail == "this API key is unknown, expired or revoked"
    assert "WWW-Authenticate" in problem.headers


def test_a_key_gets_in_until_it_expires() -> None:
    key = api_key(expires_at=NOW + timedelta(microseconds=1))
    assert gatekeeper_of(key).admit(BEARER) == key


@pytest.mark.parametrize("scopes", [[Scope.READ], [Scope.WRITE], []])
def test_a_key_that_may_not_write_events_is_403_with_the_scope(scopes: list[Scope]) -> None:
    problem = refusal(gatekeeper_of(api_key(scopes=scopes)), BEARER)
    assert (problem.status, problem.kind) == (403, "forbidden")
    assert problem.detail == f"this needs the scope events:write; the API key has {', '.join(scopes) or 'none'}"


def test_an_admin_key_may_write_events() -> None:
    assert gatekeeper_of(api_key(scopes=[Scope.ADMIN])).admit(BEARER)


@pytest.mark.parametrize("authorization", [BEARER, None])
def test_before_the_keys_are_read_it_is_503_and_nobody_is_judged(authorization: str | None) -> None:
    problem = refusal(gatekeeper_of(api_key(), caught_up=False), authorization)
    assert problem.status == 503
    assert int(problem.headers["Retry-After"]) > 0
    assert "API keys are still being read" in problem.detail


def test_a_revocation_holds_from_the_next_request() -> None:
    keys = known_keys(api_key())
    gatekeeper = gatekeeper_of(keys=keys)
    assert gatekeeper.admit(BEARER)
    keys.current[KEY_ID] = api_key(revoked_at=NOW)
    assert refusal(gatekeeper, BEARER).status == 401
    del keys.current[KEY_ID]
    assert refusal(gatekeeper, BEARER).status == 401


@pytest.mark.parametrize("change", [{"revoked_at": NOW}, {"scopes": [Scope.READ]}, {"key_hash": "0" * 64}, None])
def test_a_key_that_was_let_in_is_refused_once_it_has_changed(change: dict[str, object] | None) -> None:
    keys = known_keys(api_key())
    gatekeeper = gatekeeper_of(keys=keys)
    assert gatekeeper.admit(BEARER) is gatekeeper.admit(BEARER)
    keys.current.clear()
    keys.current.update({} if change is None else {KEY_ID: api_key(**change)})
    assert refusal(gatekeeper, BEARER).status in {401, 403}


def test_a_key_that_was_let_in_is_refused_once_it_expires() -> None:
    now = [NOW]
    keys = known_keys(api_key(expires_at=NOW + timedelta(seconds=1)))
    gatekeeper = Gatekeeper(keys, Scope.EVENTS_WRITE, lambda: now[0], KeyUsage("test"))
    assert gatekeeper.admit(BEARER)
    now[0] += timedelta(seconds=1)
    assert refusal(gatekeeper, BEARER).status == 401
