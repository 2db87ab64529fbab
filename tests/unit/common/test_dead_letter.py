"""What is kept of a record that could not be used: where it lies and why, never what it held."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from sentryml_common.contracts.api_key import form_key
from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.prediction import InvalidEvents, read_rows
from sentryml_common.errors import UndecodableMessage
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.producer import Publisher
from tests.unit.common.keys import clock

NOTHING_IS_SENT: Any = None


def test_a_key_that_was_taken_for_a_field_is_not_kept() -> None:
    publisher = Publisher(NOTHING_IS_SENT)
    key = form_key("k7m2p9q4r1s8", "s" * 43)
    record = SimpleNamespace(topic="sentryml.predictions.v1", partition=2, offset=42, headers=())
    error = UndecodableMessage("breaks_contract", f"event 0, {key}: unknown field")
    letter = DeadLetters("drift", publisher, clock).letter(record, error)
    assert decode(DeadLetter, letter.value).detail == "event 0, sml_k7m2p9q4r1s8_…: unknown field"


def test_what_a_sender_called_a_field_is_not_kept() -> None:
    publisher = Publisher(NOTHING_IS_SENT)
    record = SimpleNamespace(topic="sentryml.predictions.v1", partition=2, offset=42, headers=())
    with pytest.raises(InvalidEvents) as refused:
        read_rows(orjson.dumps([{"model_id": "m", "prediction": 1, "jane@example.com": 0.7}]))
    error = UndecodableMessage("invalid_events", str(refused.value))
    letter = DeadLetters("drift", publisher, clock).letter(record, error)
    assert b"jane" not in letter.value
    assert decode(DeadLetter, letter.value).detail.startswith(
        "event 0: unknown field: SentryML takes no feature values"
    )
