"""Where an incident's root message is in Slack, and what an attempt to send has learned about that."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Conversation:
    """The root message of an incident on a channel: Slack's id of its channel, and `ts`, which names it there."""

    channel_id: UUID
    incident_id: UUID
    slack_channel: str
    root_ts: str


@dataclass(frozen=True, slots=True)
class RootPosted:
    """There is a root message, in place of any before it; it shows the incident up to `shown_sequence`."""

    root: Conversation
    shown_sequence: int


@dataclass(frozen=True, slots=True)
class Question:
    """A reply that asks what the drift is, after some days, with buttons as long as that can be answered there."""

    conversation: Conversation
    ts: str
    long_drift_days: int


@dataclass(frozen=True, slots=True)
class QuestionPosted:
    """There is a question, in place of any before it."""

    question: Question


@dataclass(frozen=True, slots=True)
class EditRequested:
    """A reply has covered a step: the root is to show it too."""

    incident_id: UUID
    sequence: int


Learned = RootPosted | QuestionPosted | EditRequested
