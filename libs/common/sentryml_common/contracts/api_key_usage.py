"""`api-key-usage.v1`: that an API key was used, reported by services that check keys without a database."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from sentryml_common.contracts.message import Message, UtcDatetime

KEY_ID_PATTERN = r"^[0-9a-z]{12}$"


class ApiKeyUsage(Message):
    """A key was used (key of the record: key_id). Reported at most once a minute per key and process."""

    key_id: Annotated[str, StringConstraints(pattern=KEY_ID_PATTERN)]
    used_at: UtcDatetime
    service: Annotated[str, Field(min_length=1, max_length=40)]
