"""Where the fields of an event are in a foreign JSON document: as it is configured.

model_id=fraud          a constant; model_id, version and segment may be one
score=/result/p/0       a JSON Pointer (RFC 6901)
score=.result.p[0]      the same with dots
prediction=/rows/*/p    one event for each element of an array
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sentryml_common.contracts.prediction import is_model_id

FIELDS = ("model_id", "prediction", "score", "timestamp", "version", "segment")
REQUIRED = ("model_id", "prediction")
NAMES = ("model_id", "version", "segment")
"""They may be constants."""
EACH = "*"
LONGEST = 500
_BRACKETS = re.compile(r"\[(\d+|\*)\]")


class BadMapping(ValueError):
    """A mapping cannot be used; the text says what to write instead."""


@dataclass(frozen=True, slots=True)
class Path:
    """A place in a document: the steps to it, or, where `each` is not None, to an array and on from its elements."""

    text: str
    steps: tuple[str, ...]
    each: tuple[str, ...] | None = None


FieldMapping = Mapping[str, Path | str]
"""A path or a constant for each field that is mapped."""


def parse_topics(text: str) -> dict[str, FieldMapping]:
    """`TOPIC FIELD=PATH FIELD=PATH … TOPIC …`: the mapping of each topic.

    Raises:
        BadMapping: something in it cannot be used.
    """
    found: dict[str, list[str]] = {}
    topic = ""
    try:
        words = shlex.split(text)
    except ValueError as err:
        raise BadMapping(f"cannot be read: {err}") from None
    for word in words:
        if "=" in word:
            found.setdefault(topic, []).append(word)
        elif word in found:
            raise BadMapping(f"{word} is there twice: give a topic one mapping")
        else:
            topic, found[word] = word, []
    if "" in found:
        raise BadMapping("begin with the name of a topic: TOPIC model_id=… prediction=…")
    return {name: _of_topic(name, pairs) for name, pairs in found.items()}


def _of_topic(name: str, pairs: Iterable[str]) -> FieldMapping:
    try:
        return parse_mapping(pair.split("=", 1) for pair in pairs)
    except BadMapping as err:
        raise BadMapping(f"{name}: {err}") from None


def parse_mapping(pairs: Iterable[Iterable[str]], defaults: FieldMapping | None = None) -> FieldMapping:
    """The mapping that pairs of a field and a path or constant say, over `defaults`.

    Raises:
        BadMapping: a field is unknown, missing or given twice, or a path cannot be used.
    """
    given: dict[str, Path | str] = {}
    for field, value in pairs:
        if field not in FIELDS:
            raise BadMapping(f"a field that is mapped is one of {', '.join(FIELDS)}")
        if field in given:
            raise BadMapping(f"{field} is given twice")
        given[field] = _parse_value(field, value)
    found: FieldMapping = {**(defaults or {}), **given}
    if missing := [field for field in REQUIRED if field not in found]:
        raise BadMapping(f"needs {' and '.join(missing)}")
    spread = found["prediction"]
    if isinstance(spread, Path) and spread.each is None:
        for field, where in found.items():
            if isinstance(where, Path) and where.each is not None:
                raise BadMapping(f"{field} has {EACH}, so prediction needs one too")
    return found


def _parse_value(field: str, value: str) -> Path | str:
    if len(value) > LONGEST:
        raise BadMapping(f"{field} may have {LONGEST} characters")
    if value.startswith(("/", ".")):
        return parse_path(value)
    if field not in NAMES:
        raise BadMapping(f"{field} needs a path, which begins with / or with a dot")
    if not value:
        raise BadMapping(f"{field} is empty: give it a path or a constant")
    if field == "model_id" and not is_model_id(value):
        raise BadMapping("model_id is neither a path nor a model's id, which matches [A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
    return value


def parse_path(text: str) -> Path:
    """A JSON Pointer, or names with dots between.

    Raises:
        BadMapping: it has more than one `*`.
    """
    if text.startswith("/"):
        steps = [step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/")]
    else:
        steps = _BRACKETS.sub(r".\1", text).lstrip(".").split(".")
    if steps.count(EACH) > 1:
        raise BadMapping(f"a path has one {EACH} at most")
    if EACH not in steps:
        return Path(text, tuple(steps))
    at = steps.index(EACH)
    return Path(text, tuple(steps[:at]), tuple(steps[at + 1 :]))
