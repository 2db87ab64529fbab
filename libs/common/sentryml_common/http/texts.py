"""Texts that people write. None may hold an API key: it would be kept, shown and published with the text."""

from __future__ import annotations

from pydantic import AfterValidator

from sentryml_common.contracts.api_key import holds_key


def _refuse_keys(text: str) -> str:
    if holds_key(text):
        raise ValueError("holds an API key: take it out, and revoke the key if others may have seen it")
    return text


NoKey = AfterValidator(_refuse_keys)
"""Put it into the Annotated type of a text."""
