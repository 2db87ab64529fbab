"""API keys: a typo is found before any lookup; a key opens only while it is alive, and only what it may."""

from __future__ import annotations

import hashlib
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.api_key import ApiKey, Scope, form_key, hash_key, holds_key, key_id_of, without_keys

SECRET = "A-secret_of-43-characters-" + "z" * 17
KEY = form_key("k7m2p9q4r1s8", SECRET)
NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)


def api_key(**changes: Any) -> ApiKey:
    known = {"key_id": "k7m2p9q4r1s8", "name": "flights", "key_hash": hash_key(KEY), "scopes": [Scope.EVENTS_WRITE]}
    return ApiKey(**{**known, **changes})


def test_a_key_has_its_id_its_secret_and_a_checksum() -> None:
    assert KEY.startswith("sml_k7m2p9q4r1s8_" + SECRET)
    assert len(KEY) == 4 + 12 + 1 + 43 + 8
    assert key_id_of(KEY) == "k7m2p9q4r1s8"


@given(
    st.text(string.ascii_lowercase + string.digits, min_size=12, max_size=12),
    st.text(string.ascii_letters + string.digits + "_-", min_size=43, max_size=43),
)
def test_every_key_that_is_formed_tells_its_id(key_id: str, secret: str) -> None:
    assert key_id_of(form_key(key_id, secret)) == key_id


@given(st.integers(0, len(KEY) - 1), st.characters(codec="latin-1"))
def test_one_wrong_character_is_noticed(at: int, character: str) -> None:
    typo = KEY[:at] + character + KEY[at + 1 :]
    assert (key_id_of(typo) is None) == (typo != KEY)


@pytest.mark.parametrize("text", ["", "sml_", KEY[:-1], KEY + "0", KEY + "\n", " " + KEY, KEY.upper(), "Bearer " + KEY])
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert key_id_of(text) is None


@given(st.text())
def test_any_text_is_either_a_key_or_none(text: str) -> None:
    assert key_id_of(text) is None or text.startswith("sml_")


def test_the_hash_is_sha256_of_the_whole_key() -> None:
    assert hash_key(KEY) == hashlib.sha256(KEY.encode()).hexdigest()
    assert SECRET not in api_key().model_dump_json()


def test_a_key_opens_with_its_own_text_only() -> None:
    assert api_key().opens(KEY, NOW)
    assert not api_key().opens(form_key("k7m2p9q4r1s8", "a" * 43), NOW)


def test_a_key_opens_until_it_expires() -> None:
    key = api_key(expires_at=NOW)
    assert key.opens(KEY, NOW - timedelta(microseconds=1))
    assert not key.opens(KEY, NOW)


def test_a_revoked_key_opens_nothing() -> None:
    assert not api_key(revoked_at=NOW).opens(KEY, NOW - timedelta(days=1))


@pytest.mark.parametrize(
    ("own", "allowed"),
    [
        ((Scope.EVENTS_WRITE,), {Scope.EVENTS_WRITE}),
        ((Scope.READ,), {Scope.READ}),
        ((Scope.WRITE,), {Scope.WRITE, Scope.READ}),
        ((Scope.ADMIN,), set(Scope)),
        ((Scope.READ, Scope.EVENTS_WRITE), {Scope.READ, Scope.EVENTS_WRITE}),
        ((), set()),
    ],
)
def test_scopes_include_others_as_documented(own: tuple[Scope, ...], allowed: set[Scope]) -> None:
    assert {scope for scope in Scope if api_key(scopes=own).allows(scope)} == allowed


@pytest.mark.parametrize(
    ("patterns", "model", "allowed"),
    [
        ((), "anything", True),
        (("flights-*",), "flights-delay", True),
        (("flights-*",), "flights", False),
        (("flights-*",), "Flights-delay", False),
        (("fraud", "flights-*"), "fraud", True),
        (("fraud",), "fraud-v2", False),
        (("team:?",), "team:a", True),
        (("*",), "anything", True),
    ],
)
def test_patterns_say_for_which_models_a_key_speaks(patterns: tuple[str, ...], model: str, allowed: bool) -> None:
    assert api_key(models=patterns).allows_model(model) is allowed


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (KEY, "sml_k7m2p9q4r1s8_…"),
        (f"/v1/events?api_key={KEY}&x=1", "/v1/events?api_key=sml_k7m2p9q4r1s8_…&x=1"),
        (f"'{KEY}', '{KEY}'", "'sml_k7m2p9q4r1s8_…', 'sml_k7m2p9q4r1s8_…'"),
        (KEY[:-1], "sml_k7m2p9q4r1s8_…"),
        (KEY + "0", "sml_k7m2p9q4r1s8_…"),
        ("sml_short", "sml_short"),
        ("no key at all", "no key at all"),
    ],
    ids=["alone", "query", "two", "too short", "too long", "no key", "nothing"],
)
def test_of_a_key_in_a_text_only_its_public_id_is_left(text: str, left: str) -> None:
    assert without_keys(text) == left
    assert holds_key(text) == (text != left)


@given(st.text(), st.text())
def test_no_text_around_a_key_saves_its_secret(before: str, after: str) -> None:
    assert SECRET not in without_keys(before + KEY + after)
