"""Forms of the pages of alerts: what the notifier is told, what comes back, and that no kind is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from sentryml_common.contracts.transition import TransitionKind
from sentryml_incidents.web.view.alerts import ACTIONS, refusal
from sentryml_incidents.web.view.channel_forms import (
    KINDS,
    KindForm,
    config_of,
    form_of,
    harmless,
    harmless_words,
    kind_label,
    shown_settings,
    typed_again,
)
from sentryml_incidents.web.view.route_form import CHOICE, RouteForm, minutes
from sentryml_notifier.channels import kinds
from sentryml_notifier.domain.change import Action

WEBHOOK = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"


def test_every_kind_has_a_form() -> None:
    assert {form.kind for form in KINDS} == set(kinds.KINDS)


@pytest.mark.parametrize("form", KINDS, ids=lambda form: form.kind)
def test_a_form_has_every_field_and_needs_what_is_needed(form: KindForm) -> None:
    kind = kinds.KINDS[form.kind]
    for part, model in (("settings", kind.settings), ("secret", kind.secret)):
        fields = {field.name: field for field in form.of(part)}
        assert set(fields) == set(model.model_fields)
        needed = {name for name, field in model.model_fields.items() if field.is_required()}
        assert {name for name, field in fields.items() if field.required and not field.default} == needed
        for name, field in fields.items():
            if field.default:
                assert str(model.model_fields[name].default).removesuffix(".0") == field.default


def test_every_change_has_words() -> None:
    assert set(ACTIONS) == set(Action)


def test_every_kind_of_transition_can_be_chosen() -> None:
    assert set(CHOICE) == set(TransitionKind)


def a_form(kind: str) -> KindForm:
    form = form_of(kind)
    assert form is not None
    return form


def test_what_is_typed_becomes_a_configuration() -> None:
    typed = {
        "settings.host": " mail.example.org ", "settings.port": "465", "settings.tls": "tls",
        "settings.sender": "a@example.org", "settings.recipients": "b@example.org,c@example.org  d@example.org",
        "secret.user": "", "secret.password": "", "token": "f" * 64,
    }  # fmt: skip
    settings = {
        "host": "mail.example.org", "port": 465, "tls": "tls", "sender": "a@example.org",
        "recipients": ["b@example.org", "c@example.org", "d@example.org"],
    }  # fmt: skip
    assert config_of(a_form("email"), typed) == {"settings": settings}
    assert config_of(a_form("email"), typed | {"secret.user": "u"})["secret"] == {"user": "u"}
    slack = config_of(a_form("slack_webhook"), {"settings.messages_per_second": "0.5", "settings.burst": "many"})
    assert slack["settings"] == {"messages_per_second": 0.5, "burst": "many"}


def test_a_form_is_filled_with_what_is_and_with_defaults() -> None:
    shown = shown_settings(a_form("email"), {"host": "h", "recipients": ["a@b", "c@d"]})
    assert (shown["settings.host"], shown["settings.recipients"], shown["settings.port"]) == ("h", "a@b c@d", "587")
    assert kind_label("email") == "E-mail"
    assert kind_label("pigeon") == "pigeon"


def test_what_was_typed_comes_back_without_secrets() -> None:
    typed = {"settings.channel": WEBHOOK, "settings.channel_name": "alerts", "secret.token": "xoxb-1"}
    again = typed_again(a_form("slack_bot"), typed)
    assert (again["settings.channel"], again["settings.channel_name"]) == ("", "alerts")
    assert not [name for name in again if name.startswith("secret")]


@pytest.mark.parametrize("text", [WEBHOOK, "xoxb-12-34-ab", "xapp-1", "whsec_abc", "X" * 24, "a+/b" * 6])
def test_a_secret_in_the_wrong_field_is_not_told_back(text: str) -> None:
    assert harmless(text) == ""
    assert harmless_words(f"fraud-* {text}") == "fraud-* …"


@pytest.mark.parametrize("text", ["fraud on call", "team-with-a-very-long-name-that-goes-on-and-on", "ops 2", ""])
def test_an_honest_name_is_told_back(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    ("typed", "seconds"), [("", None), ("7.5", 450), ("7,5", 450), (" 60 ", 3600), ("soon", "soon"), ("inf", "inf")]
)
def test_minutes_become_seconds(typed: str, seconds: Any) -> None:
    assert RouteForm(remind_after_minutes=typed).wanted()["remind_after_seconds"] == seconds


@pytest.mark.parametrize("seconds", [300, 301, 3601, 604_799, 604_800])
def test_a_form_shows_seconds_so_that_nothing_changes(seconds: int) -> None:
    assert RouteForm(remind_after_minutes=minutes(seconds)).wanted()["remind_after_seconds"] == seconds


@pytest.mark.parametrize(("typed", "times"), [("3", 3), ("3.0", 3), ("2.5", "2.5"), ("", ""), ("many", "many")])
def test_times_are_a_whole_number_or_what_was_typed(typed: str, times: Any) -> None:
    assert RouteForm(remind_times=typed).wanted()["remind_times"] == times


@pytest.mark.parametrize(
    ("kind", "detail", "errors", "says"),
    [
        ("name-taken", "another route…", None, ("That name is taken: choose another.",)),
        ("channel-in-use", "routes lead to it", None, ("Routes lead to it.",)),
        (
            "invalid-channel",
            "nothing was changed",
            [{"field": "secret.url", "reason": "Value error, Must be https."}],
            ("Address: must be https.",),
        ),
        (
            "invalid-request",
            "x",
            [
                {"field": "body.model_patterns.0", "reason": "odd"},
                {"field": "body.model_patterns.1", "reason": "odd"},
            ],
            ("Models: patterns hold letters, digits and . _ : - * ? [ ] !, 128 at most, with spaces between.",),
        ),
        (
            "invalid-channel",
            "x",
            [{"field": "settings, secret", "reason": "does not fit"}],
            ("Settings, secret: does not fit.",),
        ),
    ],
)
def test_a_refusal_is_in_words_for_people(kind: str, detail: str, errors: Any, says: tuple[str, ...]) -> None:
    assert refusal(kind, detail, errors) == says
