"""API keys of requests to every service: `Authorization: Bearer sml_…`, refused everywhere with the same text.

A key is read from that header only: not from the query string, a cookie or the body.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sentryml_common.clock import Clock
from sentryml_common.contracts.api_key import ApiKey, Scope, key_id_of
from sentryml_common.contracts.transition import Actor, ActorType
from sentryml_common.http.problems import Problem, unavailable
from sentryml_common.kafka.follower import Follower
from sentryml_common.key_usage import KeyUsage

MOST_ADMITTED = 10_000
"""Headers that are known: beyond that they are checked again."""
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="SentryML"'}

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    bearerFormat="sml_…",
    description="An API key, `sml_…`, made by `sentryml-admin create-api-key`.",
)
InOpenApi = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
"""A parameter that makes OpenAPI say that a route needs a key; it is checked elsewhere."""


def given_key(authorization: str | None) -> tuple[str, str]:
    """(public id, whole key) of a request, from its header `Authorization`.

    Raises:
        Problem: 401, there is none, or it is malformed.
    """
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Problem(401, "unauthorized", "send an API key: Authorization: Bearer sml_…", headers=CHALLENGE)
    key_id = key_id_of(key)
    if key_id is None:
        raise bad_key()
    return key_id, key


def bad_key() -> Problem:
    """The same 401 for all: it does not reveal which part of a key is wrong."""
    return Problem(401, "unauthorized", "this API key is unknown, expired or revoked", headers=CHALLENGE)


def check_scope(key: ApiKey, scope: Scope) -> None:
    """Refuse a key that lacks a scope.

    Raises:
        Problem: 403, naming the scope that is needed and those of the key.
    """
    if not key.allows(scope):
        has = ", ".join(key.scopes) or "none"
        raise Problem(403, "forbidden", f"this needs the scope {scope}; the API key has {has}")


def check_model(key: ApiKey, model_id: str) -> None:
    """Refuse a key that has no access to a model.

    Raises:
        Problem: 403.
    """
    if not key.allows_model(model_id):
        raise Problem(403, "forbidden", f"the API key has no access to the model {model_id}")


def actor_of(key: ApiKey) -> Actor:
    """The key as it appears on timelines and among changes."""
    return Actor(type=ActorType.API_KEY, id=key.key_id, name=key.name)


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Admits requests whose key has `scope`, checked in memory against `api-keys.v1`, without a database.

    What has been checked once is known by a hash of the header, until the key changes: senders send the same again.
    """

    keys: Follower[ApiKey]
    scope: Scope
    clock: Clock
    usage: KeyUsage
    _admitted: dict[bytes, ApiKey] = field(default_factory=dict, init=False)

    def admit(self, authorization: str | None) -> ApiKey:
        """The key of a request.

        Raises:
            Problem: 401 no key, or no valid one; 403 it lacks the scope; 503 the keys are not known yet.
        """
        now, fingerprint = self.clock(), sha256((authorization or "").encode()).digest()
        key = self._admitted.get(fingerprint)
        if key is not None and self.keys.current.get(key.key_id) is key and key.is_valid(now):
            self.usage.note(key.key_id, now)
            return key
        key = self._check(authorization, now)
        if len(self._admitted) >= MOST_ADMITTED:
            self._admitted.clear()
        self._admitted[fingerprint] = key
        return key

    def _check(self, authorization: str | None, now: datetime) -> ApiKey:
        if not self.keys.caught_up.is_set():
            raise unavailable("the API keys are still being read from Kafka: try again in a few seconds")
        key_id, given = given_key(authorization)
        key = self.keys.current.get(key_id)
        if key is None or not key.opens(given, now):
            raise bad_key()
        self.usage.note(key_id, now)
        check_scope(key, self.scope)
        return key
