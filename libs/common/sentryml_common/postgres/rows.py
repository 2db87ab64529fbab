"""Rows as values: each field of a dataclass is what the column with its name holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
