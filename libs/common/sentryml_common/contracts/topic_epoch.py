"""`topic-epochs.v1`: when a topic was made. A topic deleted and made anew starts a new epoch: its offsets
mean something else from then on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sentryml_common.contracts.message import Message, UtcDatetime


class TopicEpoch(Message):
    """The epoch of one topic (key: topic name); counted from 1 by `sentryml-topics apply`."""

    topic: str
    epoch: Annotated[int, Field(ge=1)]
    made_at: UtcDatetime
