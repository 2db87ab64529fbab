"""The incidents service, killed by itself with SIGKILL at a named step of its work for one model.

    python -m tests.support.dying_incidents <step> <model_id>

Between evaluation and published transition there are these steps; it dies when it has come to the named one:

    decided     nothing of the batch is written yet
    written     all of it is, in a transaction that is not committed
    stored      the transaction is committed, the offset is not
    consumed    the offset is committed
    claimed     the relay holds a transition, Kafka has not got it
    published   Kafka has it, the mark is not committed
    marked      the mark is committed
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any, cast

from sentryml_common.contracts.topics import EVALUATIONS, TRANSITIONS
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_common.kafka.producer import Publisher
from sentryml_common.relay import Relay
from sentryml_incidents.app import main
from sentryml_incidents.consumers import evaluations as consumer
from tests.support.impatient_kafka import forget_the_dead_soon

STEPS = ("decided", "written", "stored", "consumed", "claimed", "published", "marked")
BEFORE_THE_RELAY = STEPS[: STEPS.index("claimed")]


class Dying:
    """Knows how far the service has come with the model, and ends the process at its step."""

    def __init__(self, step: str, model_id: str) -> None:
        self._step, self._model_id = step, model_id
        self._stored, self._published = False, False

    def reaches(self, step: str) -> None:
        """Die, if this is the step."""
        if step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Put the steps into the service's code."""
        module = cast(Any, consumer)
        save_changes, save_latest = module.save_changes, module.save_latest_evaluations
        commit, publish, publish_some = BatchConsumer._commit, Publisher.publish, Relay._publish_some

        async def save_changes_dying(connection: Any, changes: Any) -> None:
            if any(change.before.model_id == self._model_id for change in changes):
                self.reaches("decided")
            await save_changes(connection, changes)

        async def save_latest_dying(connection: Any, evaluations: Any) -> None:
            await save_latest(connection, evaluations)
            if any(evaluation.model_id == self._model_id for evaluation in evaluations):
                self._stored = True
                self.reaches("written")

        async def commit_dying(loop: Any, *arguments: Any) -> None:
            concerned = self._stored and loop._topic.name == EVALUATIONS.name
            if concerned:
                self.reaches("stored")
            await commit(loop, *arguments)
            if concerned:
                self.reaches("consumed")

        async def publish_dying(publisher: Any, records: Any) -> None:
            records = list(records)
            concerned = any(each.topic == TRANSITIONS.name and each.key == self._model_id.encode() for each in records)
            if concerned and self._step in BEFORE_THE_RELAY:
                await asyncio.Event().wait()  # else it publishes now and then before the end, and that comes twice
            if concerned:
                self.reaches("claimed")
            await publish(publisher, records)
            if concerned:
                self._published = True
                self.reaches("published")

        async def publish_some_dying(relay: Any, box: Any) -> int:
            found = await publish_some(relay, box)
            if self._published:
                self.reaches("marked")
            return found

        loop, publisher, relay = (cast(Any, each) for each in (BatchConsumer, Publisher, Relay))
        module.save_changes, module.save_latest_evaluations = save_changes_dying, save_latest_dying
        loop._commit, publisher.publish, relay._publish_some = commit_dying, publish_dying, publish_some_dying


if __name__ == "__main__":
    forget_the_dead_soon()
    Dying(sys.argv[1], sys.argv[2]).install()
    main()
