"""What a form for a channel asks, kind by kind, and what the notifier is told of what was typed. Pure.

The notifier checks it all; here is only what people need to fill it in. What is secret is never shown again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SECRET_LIKE = re.compile(r"://|xox|xapp-|whsec_|hooks\.|[A-Za-z0-9+/]{24}")
"""What may be a secret that was typed into the wrong field."""

SETTINGS, SECRET = "settings", "secret"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form; `part` is where it belongs, `options` what can be chosen, `many` that it takes several."""

    name: str
    label: str
    part: str = SETTINGS
    hint: str = ""
    required: bool = True
    default: str = ""
    options: tuple[str, ...] = ()
    number: bool = False
    many: bool = False

    @property
    def input_name(self) -> str:
        """Its name in the form."""
        return f"{self.part}.{self.name}"


@dataclass(frozen=True, slots=True)
class KindForm:
    """A kind of channel for people: what it is called, what it is good for, its fields."""

    kind: str
    label: str
    means: str
    fields: tuple[Field, ...]
    secret_optional: bool = False

    def of(self, part: str) -> tuple[Field, ...]:
        """The fields of one part."""
        return tuple(field for field in self.fields if field.part == part)


PACE = (
    Field("messages_per_second", "Messages a second", hint="Slack takes about one", default="1", number=True),
    Field("burst", "At once", hint="so many may leave together after a quiet time", default="3", number=True),
)
KINDS = (
    KindForm(
        "slack_webhook",
        "Slack, by incoming webhook",
        "The quickest way: one address, made on Slack's page of your app under “Incoming Webhooks”.",
        (Field("url", "Address", SECRET, "https://hooks.slack.com/services/…"), *PACE),
    ),
    KindForm(
        "slack_bot",
        "Slack, by bot",
        "Each incident is one conversation, with a button to acknowledge. Needs a Slack app: docs/slack.md.",
        (
            Field("channel", "Slack's id of the channel", hint="such as C0123456789; invite the bot there"),
            Field("channel_name", "Name of the channel", hint="for people only", required=False),
            Field("token", "Bot token", SECRET, "xoxb-…"),
            Field("signing_secret", "Signing secret", SECRET, "for buttons over HTTP", required=False),
            Field("app_token", "App-level token", SECRET, "xapp-…, for buttons by Socket Mode", required=False),
            *PACE,
        ),
    ),
    KindForm(
        "webhook",
        "Webhook",
        "A program of yours gets each alert as signed JSON: docs/webhook.md.",
        (
            Field("url", "Address", SECRET, "https://…"),
            Field(
                "signing_secrets",
                "Signing secrets",
                SECRET,
                "one to five, newest first, with spaces between; make one with: openssl rand -base64 32",
                many=True,
            ),
        ),
    ),
    KindForm(
        "email",
        "E-mail",
        "Plain and HTML mail by your mail server.",
        (
            Field("host", "Mail server", hint="its name"),
            Field("port", "Port", hint="587 for STARTTLS, 465 for TLS", default="587", number=True),
            Field("tls", "Encryption", options=("starttls", "tls", "none"), default="starttls"),
            Field("sender", "From", hint="an address that the server sends for"),
            Field("recipients", "To", hint="one or more addresses, with spaces between", many=True),
            Field("user", "User", SECRET, "where the server asks for one", required=False),
            Field("password", "Password", SECRET, required=False),
        ),
        secret_optional=True,
    ),
    KindForm(
        "apprise",
        "Another service, by apprise",
        "Some 170 services by their apprise address; the operator has to enable each kind: docs/channels.md.",
        (Field("url", "Apprise address", SECRET, "such as ntfys://topic"),),
    ),
)


def form_of(kind: str) -> KindForm | None:
    """The form of a kind; None for one that is not known here."""
    return next((form for form in KINDS if form.kind == kind), None)


def kind_label(kind: str) -> str:
    """What people call a kind."""
    form = form_of(kind)
    return kind if form is None else form.label


def config_of(form: KindForm, typed: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """`settings` and `secret` as typed. Empty fields are left out, and so is a secret of which nothing was typed."""
    settings = _part(form.of(SETTINGS), typed)
    secret = _part(form.of(SECRET), typed)
    return {SETTINGS: settings, **({SECRET: secret} if secret else {})}


def _part(fields: Iterable[Field], typed: Mapping[str, str]) -> dict[str, Any]:
    given = {field: typed.get(field.input_name, "").strip() for field in fields}
    return {field.name: _value(field, text) for field, text in given.items() if text}


def _value(field: Field, text: str) -> Any:
    if field.many:
        return text.replace(",", " ").split()
    if field.number:
        try:
            number = float(text)
        except ValueError:
            return text
        return int(number) if number.is_integer() else number
    return text


def shown_settings(form: KindForm, settings: Mapping[str, Any]) -> dict[str, str]:
    """What the form is filled with: a channel's settings as they are, what is not set with its default."""
    return {field.input_name: _text(settings.get(field.name, field.default)) for field in form.of(SETTINGS)}


def typed_again(form: KindForm, typed: Mapping[str, str]) -> dict[str, str]:
    """What was typed, to go on from: without secrets, and without what may be one in the wrong field."""
    return {field.input_name: harmless(typed.get(field.input_name, "")) for field in form.of(SETTINGS)}


def harmless(text: str) -> str:
    """A text that is told back; nothing of one that may hold a secret."""
    return "" if SECRET_LIKE.search(text) else text


def harmless_words(text: str) -> str:
    """The words of a text; in place of one that may hold a secret `…`, which nothing takes by mistake."""
    return " ".join(harmless(word) or "…" for word in text.split())


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
