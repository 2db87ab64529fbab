"""What is wrong with a record that is not JSON, by how it begins."""

from __future__ import annotations

import gzip

import pytest

from sentryml_common.contracts.prediction import read_rows
from sentryml_common.errors import UndecodableMessage
from sentryml_drift.domain.unreadable import explained

EVENT = b'{"model_id":"m","prediction":"late"}'


def reason_of(value: bytes) -> tuple[str, str]:
    with pytest.raises(UndecodableMessage) as refused:
        read_rows(value)
    found = explained(value, refused.value)
    return found.reason, found.detail


def test_a_schema_registry_prefix_is_named_with_its_schema() -> None:
    reason, detail = reason_of(b"\x00\x00\x00\x00\x11" + EVENT)
    assert reason == "schema_registry_prefix"
    assert "(schema 17)" in detail


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (gzip.compress(EVENT, mtime=0), "compressed_value"),
        (b"\x28\xb5\x2f\xfd\x00", "compressed_value"),
        (b"\x82\xa8model_id", "binary_value"),
        (b"\x0a\x01m\x12\x04late", "not_json"),
        (b"\x00", "binary_value"),
        (b"model_id=m", "not_json"),
        ("über".encode(), "not_json"),
        (b"", "not_json"),
        (b"[]", "no_events"),
        (b'"late"', "not_events"),
    ],
)
def test_what_the_first_bytes_show_is_said(value: bytes, reason: str) -> None:
    assert reason_of(value)[0] == reason
