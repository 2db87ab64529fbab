"""Forms of the pages of alerts: what is sent to the notifier, what comes back, and that no kind is forgotten."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field, SecretStr

from sentryml_common.contracts.transition import TransitionKind
from sentryml_incidents.web.alerts.route_form import CHOICE, RouteForm, in_units
from sentryml_incidents.web.view.alerts import ACTIONS, refusal
from sentryml_incidents.web.view.channel_forms import (
    ChannelForm,
    config_of,
    entered_again,
    form_of,
    harmless,
    harmless_words,
    shown_settings,
    wrong_fields,
)
from sentryml_notifier.channels.base import Config, Kind
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.domain.change import Action
from sentryml_notifier.http.channel_kinds import ChannelKindView

WEBHOOK = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"


class Loft(Config):
    """What the settings of a kind may hold."""

    place: str = Field(title="Loft", description="where it flies to", examples=["roof 3"])
    wind: float = Field(1.0, title="Most wind")
    rings: tuple[int, ...] = ()
    breed: Literal["homing", "fantail"] | None = None
    by_night: bool = False


class Word(Config):
    """What a kind's secret may hold."""

    word: SecretStr
    stamp: str | None = None


PIGEON: Kind[Loft, Word] = Kind("pigeon", "Carrier pigeon", "Slow, and needs seed.", Loft, Word, lambda *_: None)  # type: ignore[arg-type, return-value]


def a_form(kind: str) -> ChannelForm:
    return form_of(ChannelKindView.of({**KINDS, "pigeon": PIGEON}[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_every_kind_has_a_label_and_secrets_are_only_written(kind: str) -> None:
    form = a_form(kind)
    for part, model in (("settings", KINDS[kind].settings), ("secret", KINDS[kind].secret)):
        assert [field.name for field in form.of(part)] == list(model.model_fields)
        for field in form.of(part):
            assert field.label == model.model_fields[field.name].title
            assert field.required is model.model_fields[field.name].is_required()
            assert field.secret is (part == "secret")


def test_a_form_is_made_from_the_schema_of_any_kind() -> None:
    form = a_form("pigeon")
    place, wind, rings, breed, by_night, word, stamp = form.fields
    assert (place.label, place.hint, place.placeholder, place.required) == ("Loft", "where it flies to", "roof 3", True)
    assert (wind.type, wind.default, wind.required, rings.type) == ("number", "1", False, "array")
    assert (breed.options, by_night.options) == (("", "homing", "fantail"), ("true", "false"))
    assert (word.secret, word.required, stamp.secret, stamp.required) == (True, True, True, False)
    assert shown_settings(form, {"by_night": True, "breed": "homing", "rings": [1, 2]}) == {
        "settings.place": "", "settings.wind": "1", "settings.rings": "1 2", "settings.breed": "homing",
        "settings.by_night": "true",
    }  # fmt: skip
    entered = {"settings.by_night": "false", "settings.wind": "0.5", "settings.rings": "1, 2", "settings.breed": ""}
    assert config_of(form, entered)["settings"] == {"by_night": False, "wind": 0.5, "rings": ["1", "2"]}


def test_only_a_kind_without_required_secrets_can_forget_them() -> None:
    assert [name for name in KINDS if a_form(name).secret_optional] == ["email", "alertmanager"]


def test_an_error_belongs_to_its_field() -> None:
    errors = [
        {"field": "settings.rings.0", "reason": "Input should be a valid integer"},
        {"field": "settings.rings.1", "reason": "Input should be a valid integer"},
        {"field": "secret.word", "reason": "Value error, too short."},
        {"field": "name", "reason": "is taken"},
        {"field": "settings, secret", "reason": "they do not go together"},
    ]
    wrong, others = wrong_fields(a_form("pigeon"), errors)
    assert wrong == {
        "settings.rings": "Input should be a valid integer", "secret.word": "too short", "name": "is taken",
    }  # fmt: skip
    assert others == errors[-1:]
    assert wrong_fields(a_form("pigeon"), None) == ({}, [])


def test_every_change_has_words() -> None:
    assert set(ACTIONS) == set(Action)


def test_every_kind_of_transition_can_be_chosen() -> None:
    assert set(CHOICE) == set(TransitionKind)


def test_what_is_entered_becomes_a_configuration() -> None:
    entered = {
        "settings.host": " mail.example.org ", "settings.port": "465", "settings.tls": "tls",
        "settings.sender": "a@example.org", "settings.recipients": "b@example.org,c@example.org  d@example.org",
        "secret.user": "", "secret.password": "", "token": "f" * 64,
    }  # fmt: skip
    settings = {
        "host": "mail.example.org", "port": 465, "tls": "tls", "sender": "a@example.org",
        "recipients": ["b@example.org", "c@example.org", "d@example.org"],
    }  # fmt: skip
    assert config_of(a_form("email"), entered) == {"settings": settings}
    assert config_of(a_form("email"), entered | {"secret.user": "u"})["secret"] == {"user": "u"}
    slack = config_of(a_form("slack_webhook"), {"settings.messages_per_second": "0.5", "settings.burst": "many"})
    assert slack["settings"] == {"messages_per_second": 0.5, "burst": "many"}


def test_a_form_is_filled_with_what_is_and_with_defaults() -> None:
    shown = shown_settings(a_form("email"), {"host": "h", "recipients": ["a@b", "c@d"]})
    assert (shown["settings.host"], shown["settings.recipients"], shown["settings.port"]) == ("h", "a@b c@d", "587")


def test_what_was_entered_comes_back_without_secrets() -> None:
    entered = {"settings.channel": WEBHOOK, "settings.channel_name": "alerts", "secret.token": "xoxb-1"}
    again = entered_again(a_form("slack_bot"), entered)
    assert (again["settings.channel"], again["settings.channel_name"]) == ("", "alerts")
    assert not [name for name in again if name.startswith("secret")]


@pytest.mark.parametrize("text", [WEBHOOK, "xoxb-12-34-ab", "xapp-1", "whsec_abc", "X" * 24, "a+/b" * 6])
def test_a_secret_in_the_wrong_field_is_not_echoed(text: str) -> None:
    assert harmless(text) == ""
    assert harmless_words(f"fraud-* {text}") == "fraud-* …"


@pytest.mark.parametrize("text", ["fraud on call", "team-with-a-very-long-name-that-goes-on-and-on", "ops 2", ""])
def test_an_honest_name_is_echoed(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    ("entered", "seconds"), [("", None), ("7.5", 450), ("7,5", 450), (" 60 ", 3600), ("soon", "soon"), ("inf", "inf")]
)
def test_minutes_become_seconds(entered: str, seconds: Any) -> None:
    assert RouteForm(remind_after_minutes=entered).requested()["remind_after_seconds"] == seconds


@pytest.mark.parametrize("seconds", [300, 301, 3601, 604_799, 604_800])
def test_a_form_shows_seconds_so_that_nothing_changes(seconds: int) -> None:
    assert RouteForm(remind_after_minutes=in_units(seconds, 60)).requested()["remind_after_seconds"] == seconds


def test_holds_are_entered_line_by_line() -> None:
    form = RouteForm(hold_hours="mon-fri 18:00-08:00\r\n\n sat,sun 08:00-08:00 ", slack_group_warn=" ", time_zone=" ")
    requested = form.requested()
    assert requested["hold_hours"] == ["mon-fri 18:00-08:00", "sat,sun 08:00-08:00"]
    assert requested["weekly_summary"] is None
    assert (requested["hold_windows"], requested["slack_group_warn"], requested["time_zone"]) == ([], None, "UTC")


@pytest.mark.parametrize(("entered", "times"), [("3", 3), ("3.0", 3), ("2.5", "2.5"), ("", ""), ("many", "many")])
def test_times_are_a_whole_number_or_what_was_entered(entered: str, times: Any) -> None:
    assert RouteForm(remind_times=entered).requested()["remind_times"] == times


@pytest.mark.parametrize(
    ("kind", "detail", "errors", "says"),
    [
        ("name-taken", "another route…", None, ("That name is taken: choose another.",)),
        ("channel-in-use", "routes lead to it", None, ("Routes lead to it.",)),
        (
            "invalid-channel",
            "nothing was changed",
            [{"field": "secret", "reason": "Value error, Must be https."}],
            ("Secret: must be https.",),
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
