"""Times in requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from sentryml_common.contracts.message import UtcDatetime


def _no_number(given: object) -> object:
    """pydantic takes numbers for epoch seconds; a time with an offset is meant."""
    if isinstance(given, int | float) or (isinstance(given, str) and "-" not in given[1:]):
        raise ValueError("must be RFC 3339 with an offset, for example 2026-11-23T09:15:00Z")
    return given


WithOffset = Annotated[UtcDatetime, BeforeValidator(_no_number)]
"""A time as RFC 3339 with an offset, and nothing else; kept as UTC, in which it must lie in the years 1 to 9999."""
