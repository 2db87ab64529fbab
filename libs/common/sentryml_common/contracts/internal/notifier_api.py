"""What the notifier answers over REST, and its clients read: once for both. Unknown fields are ignored.

The notifier narrows some of the codes to its own closed sets; to a client they are strings, so that it need not know a
newer one.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from sentryml_common.contracts.delivery import Attempt
from sentryml_common.contracts.message import Part, UtcDatetime
from sentryml_common.contracts.transition import Actor


class RouteResponse(Part):
    """A route: which transitions go to a channel."""

    route_id: UUID
    name: str = Field(description="Its name.")
    channel_id: UUID = Field(description="Id of its channel.")
    channel: str = Field(description="The name of the channel.")
    model_patterns: tuple[str, ...] = Field(description="Models, as patterns like `fraud-*`; none means all.")
    least_severity: str
    kinds: tuple[str, ...] = Field(description="Kinds of transitions; none means all that alert.")
    enabled: bool
    remind_after_seconds: int | None
    remind_times: int
    remind_acknowledged_after_seconds: int | None = None
    system: bool = Field(False, description="Whether system alerts go to its channel.")
    time_zone: str = Field("UTC", description="Zone of its hours and windows, and of times in its messages.")
    hold_hours: tuple[str, ...] = Field((), description="Hours of the week in which its alerts are held.")
    hold_windows: tuple[str, ...] = Field((), description="Planned windows in which its alerts are held.")
    hold_critical: bool = Field(False, description="Whether critical alerts are held too.")
    weekly_summary: str | None = Field(None, description="When its weekly summary is sent; null: never.")
    weekly_last_at: UtcDatetime | None = Field(None, description="The end of the week of its newest weekly summary.")
    weekly_last_text: str | None = Field(None, description="What became of the newest weekly summary.")
    slack_group_warn: str | None = Field(None, description="Slack user group that warnings mention.")
    slack_group_critical: str | None = Field(None, description="Slack user group that critical alerts mention.")
    version: int
    created_at: UtcDatetime


class ChannelKindResponse(Part):
    """A kind of channel. A form for one of its channels is made from the two JSON schemas: `title`, `description` and
    the first of `examples` are a field's label, help and placeholder."""

    name: str = Field(description="The `kind` of such a channel.")
    title: str = Field(description="Name for people.")
    help: str = Field(description="Purpose and requirements.")
    settings: dict[str, Any] = Field(description="JSON schema of `settings`.")
    secret: dict[str, Any] = Field(
        description="JSON schema of `secret`. Each of its fields is `writeOnly`: it is never in an answer."
    )
    threads: bool = Field(description="Whether messages about one incident are shown as a thread.")
    edits: bool = Field(description="Whether sent messages are updated.")
    buttons: bool = Field(description="Whether its messages have buttons, for example to acknowledge.")
    for_people: bool = Field(
        True, description="Whether people read it: then alerts that come together are one message, else none waits."
    )


class ChannelResponse(Part):
    """A channel and its state: never its secret, only a hint of it."""

    channel_id: UUID
    name: str
    kind: str
    settings: dict[str, Any]
    secret_setting: str | None = Field(
        description="The setting that defines it and holds its secret: change it there. Null for channels of this API."
    )
    secret_hint: str | None = Field(description="The part of its secret that may be shown.", examples=["…/B0…/****"])
    state: str = Field(description="`active` or `broken`.")
    broken_reason: str | None = Field(description="Why it is broken, and how to fix it.")
    retry_at: UtcDatetime | None = Field(
        description="When a broken channel is retried automatically; null: not before it is changed."
    )
    paused_until: UtcDatetime | None = Field(description="Nothing is sent before this time, as the receiver requested.")
    fallback_channel_id: UUID | None = Field(
        description="The fallback: it receives alerts while this channel is broken."
    )
    version: int = Field(description="Version of its settings; a change of its state makes no new version.")
    created_at: UtcDatetime
    waiting: int = Field(description="Deliveries that are pending or being sent.")
    parked: int = Field(description="Parked deliveries.")
    oldest_at: UtcDatetime | None = Field(description="Since when the oldest of both is due.")

    @property
    def broken(self) -> bool:
        """Whether nothing leaves there until somebody fixes it."""
        return self.state == "broken"

    @property
    def of_settings(self) -> bool:
        """Whether a setting makes it, so that it cannot be changed over REST; one whose setting is gone says so
        itself."""
        return self.secret_setting is not None


class AttemptResponse(Attempt):
    """One attempt; deliveries sent in one message share its `send_id`."""

    send_id: UUID
    reason: str = Field(description="A code of a closed set.")
    text: str = Field(description="The same as a sentence.")


class DeliveryResponse(Part):
    """One transition on its way to one channel."""

    delivery_id: UUID
    transition_id: UUID
    incident_id: UUID
    incident_number: int
    model_id: str
    sequence: int
    kind: str
    reminder: int = Field(description="0 for the transition itself; n for the n-th reminder of it.")
    long_drift_days: int = Field(
        0, description="Of a reminder that asks what lasting drift is: for how many days it had lasted; else 0."
    )
    held_until: UtcDatetime | None = Field(
        None, description="Until when the schedule of its route has held it, or does; null if it has not."
    )
    group_id: UUID | None = Field(None, description="Alert group that its incident opened in, on this channel.")
    group_number: int | None = Field(None, description="What messages call that group.")
    group_incidents: int = Field(0, description="The number of incidents in that group.")
    happened_at: UtcDatetime | None = Field(description="When the transition happened; null for very old ones.")
    channel: str
    channel_kind: str
    route: str
    state: str
    due_at: UtcDatetime = Field(description="The next attempt, or the end of the one under way.")
    parked_because: str | None
    last_text: str | None = Field(description="Result of the last attempt, or why it waits.")
    possibly_repeated: bool = Field(description="An attempt may have arrived without confirmation.")
    created_at: UtcDatetime
    delivered_at: UtcDatetime | None
    attempts: tuple[AttemptResponse, ...] = Field(description="Oldest first.")


class ChangeResponse(Part):
    """One change: who changed what. It is never modified."""

    change_id: int
    at: UtcDatetime
    actor: Actor
    action: str
    subject_id: UUID = Field(description="Of the channel, the route or the delivery.")
    subject: str = Field(description="Its name at that time.", examples=["ops"])
    text: str = Field(description="What changed.", examples=["least severity: warn → critical"])


class FindingResponse(Part):
    """A fault in the ledger of deliveries."""

    fault: str
    channel: str | None = Field(description="Null if it concerns no channel.")
    text: str = Field(description="What is wrong, and where to find more.")


class AuditResponse(Part):
    """The last audit; audits are a few seconds apart."""

    at: UtcDatetime
    findings: tuple[FindingResponse, ...] = Field(
        description="Empty: each delivery is delivered, scheduled, or parked with a reason."
    )
    alerts_without_route: int = Field(description="Alerts of the last day that had no route: nobody was notified.")


class SystemAlertResponse(Part):
    """That a part of SentryML does not work, or did not."""

    alert_id: UUID
    fault: str
    channel: str | None = Field(description="Of which channel, where it is a fault of one.")
    title: str = Field(description="What does not work.", examples=["SentryML: predictions are not counted"])
    text: str = Field(description="What is known of it, and where to look.")
    since: UtcDatetime = Field(description="Since when it has not worked.")
    began_at: UtcDatetime = Field(description="When it was noticed: then the message was sent.")
    ended_at: UtcDatetime | None = Field(description="When it worked again; null while it does not.")


class TrialResponse(Part):
    """The result of a test message."""

    delivered: bool
    outcome: str
    reason: str = Field(description="A code of a closed set.", examples=["ok"])
    text: str = Field(description="The same as a sentence.", examples=["Accepted by Slack."])
    what_next: str = Field(description="What to do now.")
    http_status: int | None


class VerdictResponse(Part):
    """What one route would do."""

    route_id: UUID
    name: str
    channel_id: UUID
    channel: str
    taken: bool
    why: str
    text: str
    held_until: UtcDatetime | None = Field(None, description="Until when it would be held; null if it would not.")
    channel_broken: str | None = Field(description="Why its channel is broken, and how to fix it.")


class PreviewResponse(Part):
    """Where a transition would go."""

    text: str = Field(description="Summary as a sentence.", examples=["This would go to slack, ops."])
    assumed: str | None = Field(description="The assumption behind the answer.")
    channels: tuple[str, ...] = Field(description="Names of the channels that would be notified.")
    routes: tuple[VerdictResponse, ...] = Field(description="Every route, in order of evaluation.")
