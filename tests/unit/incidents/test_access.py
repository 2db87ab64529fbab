"""Keys as they are made: well-formed, checked by their checksum, known only by their hash."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.api_key import Scope, key_id_of
from sentryml_incidents.domain.access import RANDOM_BYTES, make_api_key
from tests.unit.incidents.builders import MONDAY


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
