"""What all messages have in common: the version field, aware UTC times, and the way to and from bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from sentryml_common.errors import UndecodableMessage


def to_utc(value: datetime) -> datetime:
    """An aware time in UTC.

    Raises:
        ValueError: the years there are end at 1 and 9999, and it lies beyond in UTC.
    """
    try:
        return value.astimezone(UTC)
    except OverflowError as err:
        raise ValueError("lies outside the years 1 to 9999 in UTC") from err


UtcDatetime = Annotated[AwareDatetime, AfterValidator(to_utc)]
"""A time with an offset, kept as UTC; serialised as RFC 3339 with `Z`."""

MODEL_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
ModelId = Annotated[str, StringConstraints(pattern=MODEL_ID_PATTERN)]


class Part(BaseModel):
    """A frozen part of a message; unknown fields are ignored, so that producers may grow."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False)


class Message(Part):
    """A whole message on a topic. An additive change keeps `v`; any other change is a new topic version."""

    v: Literal[1] = 1


M = TypeVar("M", bound=Message)


def encode(message: Part) -> bytes:
    """Return the JSON of a message, or of a part, as it goes on the wire (field names by alias, null kept)."""
    return orjson.dumps(message.model_dump(mode="json", by_alias=True))


def decode(contract: type[M], value: bytes | None) -> M:
    """Read a message of `contract`.

    Raises:
        UndecodableMessage: `not_json`, or `not_<contract>` with the first field that does not fit.
    """
    if value is None:
        raise UndecodableMessage("empty", "the record has no value")
    try:
        data = orjson.loads(value)
    except orjson.JSONDecodeError as err:
        raise UndecodableMessage("not_json", str(err)) from err
    try:
        return contract.model_validate(data)
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "(message)"
        raise UndecodableMessage("breaks_contract", f"{contract.__name__}.{field}: {first['msg']}") from err
