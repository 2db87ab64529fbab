"""A key, a fixed clock, and a gatekeeper that knows keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sentryml_common.contracts.api_key import ApiKey, Scope, form_key, hash_key
from sentryml_common.contracts.topics import API_KEYS
from sentryml_common.http.access import Gatekeeper
from sentryml_common.kafka.follower import Follower
from sentryml_common.key_usage import KeyUsage

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
KEY_ID = "k7m2p9q4r1s8"
KEY = form_key(KEY_ID, "s" * 43)


def clock() -> datetime:
    return NOW


def api_key(**changes: Any) -> ApiKey:
    known = {"key_id": KEY_ID, "name": "flights", "key_hash": hash_key(KEY), "scopes": [Scope.EVENTS_WRITE]}
    return ApiKey(**{**known, **changes})


def known_keys(*keys: ApiKey, caught_up: bool = True) -> Follower[ApiKey]:
    """The keys as they are after reading the topic."""
    follower = Follower(API_KEYS, ApiKey)
    follower.current.update({key.key_id: key for key in keys})
    if caught_up:
        follower.caught_up.set()
    return follower


def gatekeeper_of(*known: ApiKey, caught_up: bool = True, keys: Follower[ApiKey] | None = None) -> Gatekeeper:
    """Lets in who may write events."""
    follower = keys or known_keys(*known, caught_up=caught_up)
    return Gatekeeper(follower, Scope.EVENTS_WRITE, clock, KeyUsage("test"))
