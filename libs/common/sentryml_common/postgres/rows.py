"""Rows and values: what a field of a dataclass holds is in the column with its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeAlias, TypeVar

import asyncpg
from pydantic import TypeAdapter

T = TypeVar("T")
Row: TypeAlias = asyncpg.Record | Mapping[str, Any]


def reader_of(kind: type[T]) -> Callable[[Row], T]:
    """What makes a value of a row. Texts become enums and JSON becomes contracts, where the fields are such; columns
    without a field are left out."""
    read = TypeAdapter(kind).validate_python
    return lambda row: read(dict(row.items()))


def names_of(kind: type[Any], but: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The names of a dataclass's fields, but for some."""
    return tuple(each.name for each in fields(kind) if each.name not in but)


def insert_into(table: str, names: Sequence[str]) -> str:
    """The statement that inserts a row of values in the order of these columns."""
    marks = (f"${number}" for number in range(1, len(names) + 1))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(marks)})"


def values_of(value: object, names: Iterable[str]) -> list[Any]:
    """The attributes of a value, in the order of these names."""
    return [getattr(value, name) for name in names]
