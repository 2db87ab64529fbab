"""Who sends: an API key by `Authorization: Bearer`, checked in memory against `api-keys.v1`."""

from __future__ import annotations

from collections.abc import Iterable

from sentryml_common.clock import Clock
from sentryml_common.contracts.api_key import ApiKey, Scope, key_id_of
from sentryml_common.http.problems import Problem, unavailable
from sentryml_common.kafka.follower import Follower

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="SentryML"'}


class Gatekeeper:
    """Lets in those whose key may write events."""

    def __init__(self, keys: Follower[ApiKey], clock: Clock) -> None:
        self._keys, self._clock = keys, clock

    def sender(self, authorization: str | None) -> ApiKey:
        """The key of a request.

        Raises:
            Problem: 401 no key, or no valid one; 403 it may not write events; 503 the keys are not known yet.
        """
        if not self._keys.caught_up.is_set():
            raise unavailable("the API keys are still being read from Kafka: try again in a few seconds")
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Problem(401, "no-api-key", "send an API key: Authorization: Bearer sml_…", headers=CHALLENGE)
        known = self._keys.current.get(key_id_of(key) or "")
        if known is None or not known.opens(key, self._clock()):
            # One answer for all: which part of a key is wrong is nobody's business.
            raise Problem(401, "bad-api-key", "this API key is unknown, expired or revoked", headers=CHALLENGE)
        if not known.allows(Scope.EVENTS_WRITE):
            raise Problem(403, "missing-scope", f"this API key lacks the scope {Scope.EVENTS_WRITE.value}")
        return known


def check_models(key: ApiKey, models: Iterable[str]) -> None:
    """Refuse models that the key may not speak for.

    Raises:
        Problem: 403, naming them.
    """
    refused = [model for model in models if not key.allows_model(model)]
    if refused:
        named = ", ".join(refused[:10])
        raise Problem(403, "model-not-allowed", f"this API key may not write events of {named}", models=refused[:100])
