"""A channel's configuration as someone asks for it: checked by its kind, with all that is wrong with it, by name.

No value is echoed: it may be a secret that was put in the wrong place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Body
from pydantic import BaseModel, TypeAdapter, ValidationError, WithJsonSchema

from sentryml_common.http.problems import Problem
from sentryml_notifier.channel_registry import ChannelRegistry
from sentryml_notifier.channels.base import ChannelMisconfigured, Identity, Kind
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.http.routes.spec import Name

EXAMPLE = {
    "name": "ops",
    "kind": "slack_webhook",
    "secret": {"url": "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"},
}

Requested = Annotated[
    dict[str, Any],
    WithJsonSchema({"$ref": "#/components/schemas/NewChannel"}),
    Body(description="The requested channel.", examples=[EXAMPLE]),
]
Changed = Annotated[
    dict[str, Any],
    WithJsonSchema({"$ref": "#/components/schemas/ChannelChange"}),
    Body(
        description="What is to change. `settings` and `secret` are replaced as a whole; what is left out stays.",
        examples=[{"secret": EXAMPLE["secret"]}],
    ),
]

_NAME = TypeAdapter(Name)

Errors = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Config:
    """What a channel is made from."""

    name: str
    kind: str
    settings: dict[str, Any]
    secret: dict[str, Any]


def read_new(requested: Mapping[str, Any], reserved: Mapping[str, str]) -> Config:
    """A new channel's configuration.

    Raises:
        Problem: 422, with all that is wrong.
    """
    known = ("name", "kind", "settings", "secret")
    errors = _unknown(requested, known) + name_errors(requested.get("name"), reserved)
    kind = KINDS.get(requested["kind"]) if isinstance(requested.get("kind"), str) else None
    if kind is None:
        errors.append({"field": "kind", "reason": f"is not a kind of channel: known are {', '.join(sorted(KINDS))}"})
    else:
        errors += config_errors(kind, requested.get("settings", {}), requested.get("secret", {}))
    if errors:
        raise refused(errors)
    return Config(
        _NAME.validate_python(requested["name"]),
        requested["kind"],
        requested.get("settings", {}),
        requested.get("secret", {}),
    )


def read_change(requested: Mapping[str, Any], before: Config, reserved: Mapping[str, str]) -> Config:
    """A changed channel's configuration.

    Raises:
        Problem: 422, with all that is wrong.
    """
    errors = _unknown(requested, ("name", "settings", "secret"))
    if "name" in requested and requested["name"] != before.name:
        errors += name_errors(requested["name"], reserved)
    merged = {"settings": before.settings, "secret": before.secret, **requested}
    if requested:
        errors += config_errors(KINDS[before.kind], merged["settings"], merged["secret"])
    if errors:
        raise refused(errors)
    name = _NAME.validate_python(requested.get("name", before.name))
    return Config(name, before.kind, merged["settings"], merged["secret"])


def check_opens(registry: ChannelRegistry, config: Config, identity: Identity) -> None:
    """Refuse what has the right form and cannot work all the same.

    Raises:
        Problem: 422.
    """
    kind = KINDS[config.kind]
    try:
        registry.check(kind, identity, config.settings, config.secret)
    except ChannelMisconfigured as err:
        parts = [name for name in ("settings", "secret") if getattr(kind, name).model_fields]
        raise refused([{"field": ", ".join(parts), "reason": str(err)}]) from None


def name_errors(name: object, reserved: Mapping[str, str]) -> Errors:
    """What is wrong with a name."""
    try:
        name = _NAME.validate_python(name)
    except ValidationError as err:
        return _reasons("name", _NAME, err)
    if name in reserved:
        return [{"field": "name", "reason": f"is kept for the channel of {reserved[name]}: choose another"}]
    return []


def config_errors(kind: Kind[Any, Any], settings: object, secret: object) -> Errors:
    """What is wrong with the form of a configuration."""
    errors: Errors = []
    for field, form, given in (("settings", kind.settings, settings), ("secret", kind.secret, secret)):
        try:
            form.model_validate(given)
        except ValidationError as err:
            errors += _reasons(field, form, err)
            continue
        if b"\\u0000" in orjson.dumps(given):
            errors.append({"field": field, "reason": "holds the character U+0000"})
    return errors


def _reasons(field: str, form: type[BaseModel] | TypeAdapter[Any], err: ValidationError) -> Errors:
    """One line per field. A field that is not known is not echoed: somebody may have swapped name and value."""
    found = []
    for error in err.errors(include_url=False, include_input=False, include_context=False):
        place, reason = ".".join([field, *map(str, error["loc"])]), error["msg"]
        if error["type"] == "extra_forbidden":
            place, reason = field, "holds a field that is not known"
            if isinstance(form, type):
                reason += f": known are {', '.join(form.model_fields) or 'none'}"
        found.append({"field": place, "reason": reason})
    return found


def _unknown(requested: Mapping[str, Any], known: tuple[str, ...]) -> Errors:
    if set(requested) <= set(known):
        return []
    return [{"field": "body", "reason": f"holds a field that is not known: known are {', '.join(known)}"}]


def refused(errors: Errors) -> Problem:
    """422, naming each field."""
    detail = "; ".join(f"{error['field']}: {error['reason']}" for error in errors)
    return Problem(422, "invalid-channel", f"nothing was changed. {detail}", errors=errors)


def schemas() -> dict[str, dict[str, Any]]:
    """What a channel may be made from, kind by kind, for OpenAPI."""
    parts: dict[str, dict[str, Any]] = {}
    for kind in KINDS.values():
        for part in (kind.settings, kind.secret):
            schema = part.model_json_schema(ref_template="#/components/schemas/{model}")
            parts |= schema.pop("$defs", {})
            parts[_part_name(kind, part)] = {**schema, "title": _part_name(kind, part)}
    name = _NAME.json_schema()
    return {
        **parts,
        "NewChannel": {"title": "NewChannel", "oneOf": [_of_kind(kind, name) for kind in KINDS.values()]},
        "ChannelChange": {
            "title": "ChannelChange",
            "anyOf": [_change_of(kind, name) for kind in KINDS.values()],
        },
    }


def _part_name(kind: Kind[Any, Any], part: type[BaseModel]) -> str:
    camel = "".join(word.capitalize() for word in kind.name.split("_"))
    return camel + ("Settings" if part is kind.settings else "Secret")


def _of_kind(kind: Kind[Any, Any], name: dict[str, Any]) -> dict[str, Any]:
    change = _change_of(kind, name)
    needed = [part for part in ("settings", "secret") if getattr(kind, part).model_json_schema().get("required")]
    properties = {**change["properties"], "kind": {"type": "string", "const": kind.name}}
    return {**change, "title": kind.name, "properties": properties, "required": ["name", "kind", *needed]}


def _change_of(kind: Kind[Any, Any], name: dict[str, Any]) -> dict[str, Any]:
    refs = {
        part: {"$ref": f"#/components/schemas/{_part_name(kind, getattr(kind, part))}"}
        for part in ("settings", "secret")
    }
    return {
        "title": f"change of {kind.name}",
        "type": "object",
        "properties": {"name": name, **refs},
        "additionalProperties": False,
    }
