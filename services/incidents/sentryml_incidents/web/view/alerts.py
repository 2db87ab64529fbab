"""What people read on the pages of alerts: problems in words, changes in words, how fresh the audit is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sentryml_common.text import capital, sentence

STALE_AFTER = timedelta(minutes=2)
"""The ledger is audited every few seconds: an older audit than this is reported."""

ACTIONS: Final[Mapping[str, str]] = {
    "channel_made": "added the channel",
    "channel_changed": "changed the channel",
    "secret_replaced": "entered a secret for the channel",
    "channel_deleted": "removed the channel",
    "route_made": "added the route",
    "route_changed": "changed the route",
    "route_deleted": "removed the route",
    "retry_asked": "retried the delivery for",
    "test_sent": "sent a test message to",
}

REFUSALS: Final[Mapping[str, str]] = {
    "unknown-route": "There is no such route: it may have been removed meanwhile.",
    "unknown-channel": "There is no such channel: it may have been removed meanwhile.",
    "unknown-delivery": "There is no such delivery.",
    "route-moved-on": "The route has changed since you opened it, and nothing was done. Below is what you entered; "
    "reload the route to see its current version.",
    "name-taken": "That name is taken: choose another.",
    "fallback-is-itself": "A channel cannot be its own fallback: choose another.",
    "deliveries-waiting": "Messages wait on this channel, so it was not removed. Fix it, or choose to "
    "discard them, then remove it.",
}
"""By kind of problem: what a page says instead of the notifier, whose words are for programs."""

FIELDS: Final[Mapping[str, str]] = {
    "model_patterns": "models",
    "channel_id": "channel",
    "remind_after_seconds": "remind after",
    "remind_times": "maximum number of reminders",
    "system": "system alerts",
    "remind_acknowledged_after_seconds": "remind of what was acknowledged after",
    "hold_hours": "hours of the week",
    "hold_windows": "planned windows",
    "slack_group_critical": "mention for critical alerts",
    "slack_group_warn": "mention for warnings",
}
REASONS: Final[Mapping[str, str]] = {
    "model_patterns": "patterns hold letters, digits and . _ : - * ? [ ] !, 128 at most, with spaces between",
    "remind_after_seconds": "from 5 minutes to 7 days (10080 minutes), or empty for no reminders",
    "remind_acknowledged_after_seconds": "from 1 hour to 30 days (720 hours), or empty for no reminders",
    "remind_times": "a whole number from 1 to 100",
    "channel_id": "choose one of the channels",
    "weekly_summary": "a day and a time, such as mon 09:00, or empty for none; only for channels that people read",
    "time_zone": "a name of the IANA database, such as Europe/Berlin",
    "slack_group_critical": "the id of a user group, such as S0123456789: Slack shows it as “Copy group ID”",
    "slack_group_warn": "the id of a user group, such as S0123456789: Slack shows it as “Copy group ID”",
}
"""By field: what it takes, in texts for people."""


def refusal(kind: str, detail: str, errors: object) -> tuple[str, ...]:
    """Why the notifier refused something, in sentences; `errors` are those of the problem."""
    if kind in REFUSALS:
        return (REFUSALS[kind],)
    named = [_named(each) for each in errors] if isinstance(errors, list) else []
    if named:
        return tuple(dict.fromkeys(named))
    return (sentence(detail),)


def _named(error: Any) -> str:
    """`Models: …` of `body.model_patterns.0: …`."""
    parts = [part for part in str(error.get("field", "")).split(".") if not part.isdigit()]
    field = next((part for part in reversed(parts) if part not in ("body", "settings", "secret")), "")
    called = FIELDS.get(field, field.replace("_", " ")) or ", ".join(parts)
    reason = REASONS.get(field, str(error.get("reason", "")).removeprefix("Value error, ")).rstrip(".")
    return f"{capital(called)}: {reason[:1].lower()}{reason[1:]}."


def action_words(action: str) -> str:
    """What somebody did, between their name and its object."""
    return ACTIONS.get(action, action.replace("_", " "))


def is_stale(audited_at: datetime, now: datetime) -> bool:
    """Whether the last audit is older than it should be."""
    return now - audited_at > STALE_AFTER


def models_in_words(patterns: Sequence[str]) -> str:
    """`all`, or the patterns."""
    return ", ".join(patterns) or "all"
