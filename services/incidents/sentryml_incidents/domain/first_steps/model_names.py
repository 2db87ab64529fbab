"""Which model a test event is of, and which one examples name: those that a key may send events of. Pure."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from sentryml_common.contracts.message import MODEL_ID_PATTERN

TEST_MODEL = "sentryml-test"
"""What the names of models of test events hold."""
EXAMPLE_MODEL = "my-model"


def test_model_for(patterns: tuple[str, ...]) -> str | None:
    """The model of a key's test events; None for a key of models that are named in full, since a test event would count
    as a prediction of one of them."""
    return _named(patterns, TEST_MODEL)


def example_model_for(patterns: tuple[str, ...]) -> str:
    """A model that examples can name."""
    in_full = next((each for each in patterns if re.match(MODEL_ID_PATTERN, each)), None)
    return in_full or _named(patterns, EXAMPLE_MODEL) or EXAMPLE_MODEL


def _named(patterns: tuple[str, ...], name: str) -> str | None:
    if not patterns:
        return name
    found = (each.replace("*", name, 1).replace("*", "") for each in patterns)
    return next((each for each in found if name in each and _fits(each, patterns)), None)


def _fits(model_id: str, patterns: tuple[str, ...]) -> bool:
    allowed = any(fnmatchcase(model_id, pattern) for pattern in patterns)
    return allowed and re.match(MODEL_ID_PATTERN, model_id) is not None
