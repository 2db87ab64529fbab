"""Pages of long lists by keyset: the cursor says after which row to go on, so that nothing is skipped or shown
twice while rows arrive. It is opaque to clients."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Generic, TypeVar

import orjson
from fastapi import Query
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from sentryml_common.contracts.message import to_utc
from sentryml_common.http.problems import Problem

T = TypeVar("T")

Cursor = Annotated[
    str | None, Query(description="`next_cursor` of the page before; leave it out for the first page.", max_length=500)
]
Limit = Annotated[int, Query(description="Most items on a page.", ge=1, le=500)]


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


def to_cursor(position: object) -> str:
    """A position in a list as a cursor."""
    # default: asyncpg gives a UUID type of its own, which orjson does not know.
    return base64.urlsafe_b64encode(orjson.dumps(position, default=str)).decode().rstrip("=")


def next_cursor(found: Sequence[T], limit: int, position_of: Callable[[T], object]) -> str | None:
    """The cursor after the last item of a page; None after a page that is not full, which is the last."""
    return to_cursor(position_of(found[-1])) if len(found) == limit else None


def from_cursor(cursor: str | None, form: TypeAdapter[T]) -> T | None:
    """The position inside a cursor.

    Raises:
        Problem: 422, it is not one of ours.
    """
    if cursor is None:
        return None
    try:
        position = form.validate_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        _check_storable(position)
    except (ValueError, ValidationError) as err:
        raise Problem(422, "invalid-cursor", "cursor is not a next_cursor of this list: leave it out") from err
    return position


def _check_storable(position: object) -> None:
    """See that PostgreSQL can compare a position, whatever it is made of, with what it holds.

    Raises:
        ValueError: it cannot.
    """
    match position:
        case tuple() | list():
            for part in position:
                _check_storable(part)
        case int() if not -(2**63) <= position < 2**63:
            raise ValueError("no integer of 64 bits")
        case str() if "\0" in position:
            raise ValueError("holds the character U+0000")
        case datetime():
            to_utc(position)
