"""The form of a channel, made from what its kind says of itself: a generic one, by JSON schema. Pure.

The notifier checks what is entered; here is only what people need to fill it in. What is secret is never shown again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sentryml_common.contracts.internal.notifier_api import ChannelKindResponse

SECRET_LIKE = re.compile(r"://|xox|xapp-|whsec_|hooks\.|[A-Za-z0-9+/]{24}")
"""What may be a secret that was entered into the wrong field."""

SETTINGS, SECRET = "settings", "secret"
YES_OR_NO = ("true", "false")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form. `part` is where it belongs, `type` as in JSON schema; `options` are what can be chosen."""

    part: str
    name: str
    label: str
    hint: str
    placeholder: str
    type: str
    options: tuple[str, ...]
    default: str
    required: bool
    secret: bool

    @property
    def input_name(self) -> str:
        """Its name in the form."""
        return f"{self.part}.{self.name}"


@dataclass(frozen=True, slots=True)
class ChannelForm:
    """A kind of channel and its fields."""

    kind: ChannelKindResponse
    fields: tuple[Field, ...]

    def of(self, part: str) -> tuple[Field, ...]:
        """The fields of one part."""
        return tuple(field for field in self.fields if field.part == part)

    @property
    def secret_optional(self) -> bool:
        """Whether such a channel works without a secret."""
        return not any(field.required for field in self.of(SECRET))


def form_of(kind: ChannelKindResponse) -> ChannelForm:
    """The form of a kind, its fields in the order of the schemas."""
    return ChannelForm(kind, (*_fields(SETTINGS, kind.settings), *_fields(SECRET, kind.secret)))


def _fields(part: str, schema: Mapping[str, Any]) -> Iterator[Field]:
    for name, each in schema.get("properties", {}).items():
        yield _field(part, name, _resolved(each, schema.get("$defs", {})), name in schema.get("required", ()))


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """A field's schema with what it refers to; of an optional one without the null."""
    given: Mapping[str, Any] = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), {})
    schema = {**given, **schema}
    return {**definitions.get(str(schema.get("$ref")).rpartition("/")[2], {}), **schema}


def _field(part: str, name: str, schema: Mapping[str, Any], required: bool) -> Field:
    options = tuple(map(str, schema.get("enum", YES_OR_NO if schema.get("type") == "boolean" else ())))
    default = _text(schema.get("default"))
    return Field(
        part,
        name,
        label=schema.get("title", name),
        hint=schema.get("description", ""),
        placeholder=_text(next(iter(schema.get("examples", ())), None)),
        type=schema.get("type", "string"),
        options=options if required or default or not options else ("", *options),
        default=default,
        required=required,
        secret=bool(schema.get("writeOnly")),
    )


def config_of(form: ChannelForm, entered: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """`settings` and `secret` as entered. Empty fields are left out, and so is a secret without any value."""
    settings = _part(form.of(SETTINGS), entered)
    secret = _part(form.of(SECRET), entered)
    return {SETTINGS: settings, **({SECRET: secret} if secret else {})}


def _part(fields: Iterable[Field], entered: Mapping[str, str]) -> dict[str, Any]:
    given = {field: entered.get(field.input_name, "").strip() for field in fields}
    return {field.name: _value(field.type, text) for field, text in given.items() if text}


def _value(type: str, text: str) -> Any:
    if type == "array":
        return text.replace(",", " ").split()
    if type == "boolean":
        return text == "true"
    if type in ("number", "integer"):
        try:
            number = float(text)
        except ValueError:
            return text
        return int(number) if number.is_integer() else number
    return text


def wrong_fields(form: ChannelForm, errors: object) -> tuple[dict[str, str], list[Any]]:
    """(why the notifier refuses a field, by its name in the form; the errors that are about no field of it)"""
    names = {"name", *(field.input_name for field in form.fields)}
    wrong: dict[str, str] = {}
    others = []
    for error in errors if isinstance(errors, list) else ():
        name = ".".join(str(error.get("field", "")).split(".")[:2])
        if name in names:
            wrong.setdefault(name, str(error.get("reason", "")).removeprefix("Value error, ").rstrip("."))
        else:
            others.append(error)
    return wrong, others


def shown_settings(form: ChannelForm, settings: Mapping[str, Any]) -> dict[str, str]:
    """What the form is filled with: a channel's settings as they are, what is not set with its default."""
    return {field.input_name: _text(settings.get(field.name, field.default)) for field in form.of(SETTINGS)}


def entered_again(form: ChannelForm, entered: Mapping[str, str]) -> dict[str, str]:
    """What was entered, to continue from: without secrets, and without what may be one in the wrong field."""
    return {field.input_name: harmless(entered.get(field.input_name, "")) for field in form.of(SETTINGS)}


def harmless(text: str) -> str:
    """A text that may be shown again; nothing of one that may hold a secret."""
    return "" if SECRET_LIKE.search(text) else text


def harmless_words(text: str) -> str:
    """The words of a text; in place of one that may hold a secret `…`, which nothing takes by mistake."""
    return " ".join(harmless(word) or "…" for word in text.split())


def harmless_lines(text: str) -> str:
    """The same, line by line."""
    return "\n".join(map(harmless_words, text.splitlines()))


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(value).removesuffix(".0")
    return "" if value is None else str(value)
