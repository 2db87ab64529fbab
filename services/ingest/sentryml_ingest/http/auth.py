"""Which models a sender may access; who sends is checked by the gatekeeper that all services share."""

from __future__ import annotations

from collections.abc import Iterable

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.http.problems import Problem


def check_models(key: ApiKey, models: Iterable[str]) -> None:
    """Refuse models that the key may not access.

    Raises:
        Problem: 403, naming them.
    """
    if not key.models:
        return
    refused = sorted(model for model in models if not key.allows_model(model))
    if refused:
        named = ", ".join(refused[:10])
        raise Problem(403, "forbidden", f"this API key may not write events of {named}", models=refused[:100])
