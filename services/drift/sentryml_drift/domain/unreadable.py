"""Why a record is not JSON, as far as its first bytes show: most often one producer has the wrong serializer."""

from __future__ import annotations

from collections.abc import Mapping

from sentryml_common.errors import UndecodableMessage

SCHEMA_REGISTRY_BYTES = 5
COMPRESSED: Mapping[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
}
READABLE = frozenset(b"\t\n\r") | frozenset(range(0x20, 0x7F)) | frozenset(range(0xC2, 0xF5))
"""What UTF-8 can begin with."""


def explained(value: bytes, error: UndecodableMessage) -> UndecodableMessage:
    """The error about a value that is not JSON, more exactly where that can be said; any other as it is."""
    if error.reason != "not_json":
        return error
    if value[:1] == b"\x00" and len(value) > SCHEMA_REGISTRY_BYTES:
        schema = int.from_bytes(value[1:SCHEMA_REGISTRY_BYTES])
        detail = f"the record begins with a schema-registry prefix (schema {schema}): send plain JSON without it"
        return UndecodableMessage("schema_registry_prefix", detail)
    if (codec := next((name for magic, name in COMPRESSED.items() if value.startswith(magic)), None)) is not None:
        detail = f"the value is compressed ({codec}): send JSON, and let the producer compress (compression.type)"
        return UndecodableMessage("compressed_value", detail)
    if value and value[0] not in READABLE:
        detail = "the value is binary (Avro, Protobuf, MessagePack …): send JSON"
        return UndecodableMessage("binary_value", detail)
    return error
