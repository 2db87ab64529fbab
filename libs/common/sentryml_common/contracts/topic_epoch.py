"""`topic-epochs.v1`: the incarnations of a topic. A topic deleted and recreated starts a new epoch: its offsets mean
something else from then on."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from sentryml_common.contracts.message import Message, UtcDatetime


class TopicEpoch(Message):
    """The newest epoch of one topic (key: topic name), counted from 1 by the first service that met its `topic_id`;
    the id is null in records of before ids were recorded."""

    topic: str
    epoch: Annotated[int, Field(ge=1)]
    made_at: UtcDatetime
    topic_id: UUID | None = None
