"""Keys as they are made and rotated: well-formed, known only by their hash, never mightier than who makes them."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.api_key import ApiKey, Scope, key_id_of
from sentryml_common.contracts.transition import SYSTEM
from sentryml_incidents.domain.api_keys import (
    RANDOM_BYTES,
    NotRotatable,
    StoredKey,
    TooPowerful,
    check_power,
    covers,
    make_api_key,
    rotate_api_key,
)
from tests.unit.incidents.builders import MONDAY

DAY = timedelta(days=1)
OTHER_BYTES = bytes(range(RANDOM_BYTES))


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_a_key_opens_and_is_known_only_by_its_hash(randomness: bytes) -> None:
    text, kept = make_api_key("ci", (Scope.READ,), (), None, randomness)
    assert key_id_of(text) == kept.key_id
    assert kept.opens(text, MONDAY)
    assert text not in kept.model_dump_json()
    assert text.split("_", 2)[2][:43] not in kept.model_dump_json()


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES), st.integers(0, 67))
def test_a_typo_is_noticed_before_anything_is_looked_up(randomness: bytes, position: int) -> None:
    text, kept = make_api_key("ci", (Scope.READ,), (), None, randomness)
    typo = text[:position] + ("a" if text[position] != "a" else "b") + text[position + 1 :]
    assert key_id_of(typo) is None
    assert not kept.opens(typo, MONDAY)


def a_key(**changes: Any) -> ApiKey:
    _, kept = make_api_key("ci", (Scope.READ,), ("fraud-*",), None, bytes(RANDOM_BYTES))
    return kept.model_copy(update=changes)


def stored(expires_at: datetime | None = None, revoked_at: datetime | None = None, **more: Any) -> StoredKey:
    return StoredKey(a_key(expires_at=expires_at, revoked_at=revoked_at), MONDAY - 10 * DAY, SYSTEM, **more)


@pytest.mark.parametrize(
    ("expires_at", "overlap", "new_ends_at", "old_ends_at"),
    [
        (None, DAY, None, MONDAY + DAY),
        (None, 0 * DAY, None, MONDAY),
        (MONDAY + 20 * DAY, DAY, MONDAY + 30 * DAY, MONDAY + DAY),
        (MONDAY + DAY / 2, DAY, MONDAY + 10.5 * DAY, MONDAY + DAY / 2),
    ],
    ids=["for ever", "no overlap", "lifetime", "its own end comes first"],
)
def test_a_rotated_key_is_the_same_key_again_and_the_old_one_ends(
    expires_at: datetime | None, overlap: timedelta, new_ends_at: datetime | None, old_ends_at: datetime
) -> None:
    old = stored(expires_at)
    text, made, ends_at = rotate_api_key(old, MONDAY, overlap, OTHER_BYTES)
    assert made.opens(text, MONDAY)
    assert made.key_id != old.key.key_id
    assert (made.name, made.scopes, made.models) == (old.key.name, old.key.scopes, old.key.models)
    assert (made.expires_at, ends_at) == (new_ends_at, old_ends_at)


@pytest.mark.parametrize(
    ("old", "says"),
    [
        (stored(revoked_at=MONDAY), "revoked at 2026-11-23 09:15 UTC: make a new key"),
        (stored(expires_at=MONDAY), "expired at 2026-11-23 09:15 UTC: make a new key"),
        (stored(replaced_by="k7m2p9q4r1s8"), "rotate its successor k7m2p9q4r1s8"),
    ],
)
def test_what_cannot_be_rotated_says_what_to_do(old: StoredKey, says: str) -> None:
    with pytest.raises(NotRotatable, match=says):
        rotate_api_key(old, MONDAY, DAY, OTHER_BYTES)


ALL = tuple(Scope)


@pytest.mark.parametrize(
    ("maker", "scopes", "models"),
    [
        (a_key(scopes=(Scope.ADMIN,), models=()), ALL, ()),
        (a_key(scopes=(Scope.ADMIN,), models=()), ALL, ("anything",)),
        (a_key(scopes=(Scope.WRITE,), models=()), (Scope.READ, Scope.WRITE), ()),
        (
            a_key(scopes=(Scope.ADMIN,), models=("fraud-*", "churn")),
            ALL,
            ("fraud-eu", "fraud-*", "fraud-eu-?", "churn"),
        ),
    ],
)
def test_a_key_may_give_what_it_has(maker: ApiKey, scopes: tuple[Scope, ...], models: tuple[str, ...]) -> None:
    check_power(maker, scopes, models)


@pytest.mark.parametrize(
    ("maker", "scopes", "models", "says"),
    [
        (a_key(scopes=(Scope.WRITE,), models=()), (Scope.READ, Scope.ADMIN), (), "lacks the scope admin"),
        (a_key(scopes=(Scope.READ,), models=()), (Scope.EVENTS_WRITE,), (), "lacks the scope events:write"),
        (a_key(scopes=(Scope.ADMIN,), models=("fraud-*",)), ALL, (), r"only access fraud-\*: say in models"),
        (a_key(scopes=(Scope.ADMIN,), models=("fraud-*",)), ALL, ("fraud-a", "*"), r"all of \*: narrow"),
        (a_key(scopes=(Scope.ADMIN,), models=("fraud-?",)), ALL, ("fraud-*",), r"all of fraud-\*"),
        (a_key(scopes=(Scope.ADMIN,), models=("*-[ab]",)), ALL, ("x-[abc]",), "all of"),
    ],
)
def test_a_key_may_not_give_more(maker: ApiKey, scopes: tuple[Scope, ...], models: tuple[str, ...], says: str) -> None:
    with pytest.raises(TooPowerful, match=says):
        check_power(maker, scopes, models)


def test_a_pattern_that_is_covered_matches_nothing_else() -> None:
    """Held against every id of up to four letters."""
    rng = random.Random(7)
    models = ["".join(letters) for size in range(1, 5) for letters in product("ab-", repeat=size)]
    pairs = [["".join(rng.choices("ab-**?[]!", k=rng.randint(1, 5))) for _ in range(2)] for _ in range(20_000)]
    covered = [(wide, narrow) for wide, narrow in pairs if wide != narrow and covers(wide, narrow)]
    assert len(covered) > 500
    for wide, narrow in covered:
        assert not [each for each in models if fnmatchcase(each, narrow) and not fnmatchcase(each, wide)], (
            wide,
            narrow,
        )
