"""Who gets in: a valid key that may write events, of these models; every refusal says what to do, and no more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sentryml_common.contracts.api_key import Scope, form_key
from sentryml_common.http.problems import Problem
from sentryml_ingest.http.auth import Gatekeeper, check_models
from tests.unit.ingest.builders import KEY, KEY_ID, NOW, api_key, clock, known_keys

BEARER = f"Bearer {KEY}"


def refusal(gatekeeper: Gatekeeper, authorization: str | None) -> Problem:
    with pytest.raises(Problem) as refused:
        gatekeeper.sender(authorization)
    return refused.value


@pytest.mark.parametrize("authorization", [BEARER, f"bearer {KEY}", f"BEARER {KEY}"])
def test_a_valid_key_gets_in(authorization: str) -> None:
    key = api_key()
    assert Gatekeeper(known_keys(key), clock).sender(authorization) == key


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", KEY, f"Basic {KEY}"])
def test_without_a_key_it_is_401_with_how_to_send_one(authorization: str | None) -> None:
    problem = refusal(Gatekeeper(known_keys(api_key()), clock), authorization)
    assert (problem.status, problem.kind) == (401, "no-api-key")
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
    problem = refusal(Gatekeeper(known_keys(key), clock), authorization)
    assert (problem.status, problem.kind) == (401, "bad-api-key")
    assert problem.detail == "this API key is unknown, expired or revoked"
    assert "WWW-Authenticate" in problem.headers


def test_a_key_gets_in_until_it_expires() -> None:
    key = api_key(expires_at=NOW + timedelta(microseconds=1))
    assert Gatekeeper(known_keys(key), clock).sender(BEARER) == key


@pytest.mark.parametrize("scopes", [[Scope.READ], [Scope.WRITE], []])
def test_a_key_that_may_not_write_events_is_403_with_the_scope(scopes: list[Scope]) -> None:
    problem = refusal(Gatekeeper(known_keys(api_key(scopes=scopes)), clock), BEARER)
    assert (problem.status, problem.kind) == (403, "missing-scope")
    assert "events:write" in problem.detail


def test_an_admin_key_may_write_events() -> None:
    assert Gatekeeper(known_keys(api_key(scopes=[Scope.ADMIN])), clock).sender(BEARER)


@pytest.mark.parametrize("authorization", [BEARER, None])
def test_before_the_keys_are_read_it_is_503_and_nobody_is_judged(authorization: str | None) -> None:
    problem = refusal(Gatekeeper(known_keys(api_key(), caught_up=False), clock), authorization)
    assert problem.status == 503
    assert int(problem.headers["Retry-After"]) > 0
    assert "API keys are still being read" in problem.detail


def test_a_revocation_holds_from_the_next_request() -> None:
    keys = known_keys(api_key())
    gatekeeper = Gatekeeper(keys, clock)
    assert gatekeeper.sender(BEARER)
    keys.current[KEY_ID] = api_key(revoked_at=NOW)
    assert refusal(gatekeeper, BEARER).status == 401
    del keys.current[KEY_ID]
    assert refusal(gatekeeper, BEARER).status == 401


def test_models_outside_the_patterns_are_403_and_named() -> None:
    key = api_key(models=["flights-*", "fraud"])
    check_models(key, ["flights-delay", "fraud"])
    with pytest.raises(Problem) as refused:
        check_models(key, ["churn", "flights-delay", "fraud-v2"])
    assert (refused.value.status, refused.value.kind) == (403, "model-not-allowed")
    assert refused.value.detail == "this API key may not write events of churn, fraud-v2"
    assert refused.value.extra == {"models": ["churn", "fraud-v2"]}


def test_a_long_list_of_refused_models_is_cut() -> None:
    with pytest.raises(Problem) as refused:
        check_models(api_key(models=["flights-*"]), [f"m{number:03}" for number in range(500)])
    assert refused.value.detail.count("m0") == 10
    assert len(refused.value.extra["models"]) == 100
