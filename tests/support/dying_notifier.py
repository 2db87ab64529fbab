"""The notifier, killed by itself with SIGKILL at a named step of telling that a model's alert was delivered.

python -m tests.support.dying_notifier <step> <model_id>

noted       the answer of Slack is noted and committed, nobody was notified
claimed     the relay holds the change, Kafka has not got it
published   Kafka has it, the outbox still holds it
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, cast

from sentryml_common.contracts.delivery import Delivery, DeliveryState
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.topics import DELIVERIES
from sentryml_common.kafka.producer import Publisher
from sentryml_notifier.app import main
from sentryml_notifier.delivery.dispatcher import Dispatcher
from tests.support.impatient_kafka import forget_the_dead_soon

STEPS = ("noted", "claimed", "published")


def die_at(last_step: str, model_id: str) -> None:
    """Put the steps into the service's code."""

    def reaches(step: str) -> None:
        if step == last_step:
            os.kill(os.getpid(), signal.SIGKILL)

    note, publish = Dispatcher._note, Publisher.publish

    async def note_dying(dispatcher: Any, channel: Any, claim: Any, result: Any) -> None:
        await note(dispatcher, channel, claim, result)
        if claim.story.last.model_id == model_id:
            reaches("noted")

    async def publish_dying(publisher: Any, records: Any) -> None:
        records = list(records)
        published = [decode(Delivery, each.value) for each in records if each.topic == DELIVERIES.name]
        concerned = any(each.model_id == model_id and each.state is DeliveryState.DELIVERED for each in published)
        if concerned:
            reaches("claimed")
        await publish(publisher, records)
        if concerned:
            reaches("published")

    cast(Any, Dispatcher)._note, cast(Any, Publisher).publish = note_dying, publish_dying


if __name__ == "__main__":
    forget_the_dead_soon()
    die_at(sys.argv[1], sys.argv[2])
    main()
