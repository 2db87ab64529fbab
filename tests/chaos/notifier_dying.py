"""The notifier, which kills itself with SIGKILL at a named step, the n-th time it comes there. Each message names its
send, so that one of a group can be held against the ledger.

    python -m tests.chaos.notifier_dying <send seconds> [<step> <n>]

Between a transition in Kafka and a message in Slack there are these steps:

    taken_in    deliveries are written, in a transaction that is not committed
    kept        the transaction is committed, the offset is not
    consumed    the offset is committed
    claimed     a message is claimed, nothing is sent
    under_way   the request is on its way, there is no answer
    sent        the answer is known, nothing is noted
    noting      what became of it is noted, in a transaction that is not committed
    noted       it is committed
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, cast

from sentryml_common.contracts.topics import TRANSITIONS
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_notifier import app, consumer
from sentryml_notifier.channels.base import Tools
from sentryml_notifier.consumer import Inbox
from sentryml_notifier.delivery.dispatcher import Dispatcher
from sentryml_notifier.domain import grouping
from sentryml_notifier.domain.message import Message
from sentryml_notifier.store.queue import queue
from tests.support.impatient_kafka import forget_the_dead_soon

CONSUMING = ("taken_in", "kept", "consumed")
DISPATCHING = ("claimed", "under_way", "sent", "noting", "noted")
STEPS = (*CONSUMING, *DISPATCHING)

ON_ITS_WAY_SECONDS = 0.01
LEFT_SECONDS = 2.0
"""How long the ends of a group wait for those that are left: an hour, and a day, in a run of minutes."""


def name_each_send() -> None:
    """Let each message say which send it is."""
    dispatcher = cast(Any, Dispatcher)
    compose = dispatcher._compose

    def compose_named(self_: Any, claim: Any) -> Message:
        message: Message = compose(self_, claim)
        return replace(message, notes=(*message.notes, f"send {claim.sending.send_id}"))

    dispatcher._compose = compose_named


class Dying:
    """Counts how often the service has come to its step, and ends the process in time."""

    def __init__(self, step: str, times: int) -> None:
        self._step, self._left = step, times

    def reaches(self, step: str) -> None:
        """Die, if this is the step and it is time."""
        if step != self._step:
            return
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Put the steps into the service's code."""
        self._into_consuming()
        self._into_dispatching()

    def _into_consuming(self) -> None:
        module, inbox, loop = cast(Any, consumer), cast(Any, Inbox), cast(Any, BatchConsumer)
        insert, take_in, commit = module.insert_deliveries, inbox.take_in, loop._commit

        async def insert_dying(*arguments: Any) -> int:
            made: int = await insert(*arguments)
            self.reaches("taken_in")
            return made

        async def take_in_dying(*arguments: Any) -> None:
            await take_in(*arguments)
            self.reaches("kept")

        async def commit_dying(self_: Any, *arguments: Any) -> None:
            await commit(self_, *arguments)
            if self_._topic.name == TRANSITIONS.name:
                self.reaches("consumed")

        module.insert_deliveries, inbox.take_in, loop._commit = insert_dying, take_in_dying, commit_dying

    def _into_dispatching(self) -> None:
        dispatcher, module = cast(Any, Dispatcher), cast(Any, queue)
        claim, send, note, set_next = dispatcher._claim, dispatcher._send, dispatcher._note, module.set_next

        async def claim_dying(*arguments: Any) -> Any:
            claimed = await claim(*arguments)
            if claimed is not None:
                self.reaches("claimed")
            return claimed

        async def send_dying(*arguments: Any) -> Any:
            sending = asyncio.ensure_future(send(*arguments))
            await asyncio.wait({sending}, timeout=ON_ITS_WAY_SECONDS)
            self.reaches("under_way")
            result = await sending
            self.reaches("sent")
            return result

        async def set_next_dying(*arguments: Any) -> Any:
            ours = await set_next(*arguments)
            self.reaches("noting")
            return ours

        async def note_dying(*arguments: Any) -> None:
            await note(*arguments)
            self.reaches("noted")

        dispatcher._claim, dispatcher._send, dispatcher._note = claim_dying, send_dying, note_dying
        module.set_next = set_next_dying


if __name__ == "__main__":
    forget_the_dead_soon()
    name_each_send()
    left = timedelta(seconds=LEFT_SECONDS)
    cast(Any, grouping).LEFT_AFTER, cast(Any, grouping).LEFT_EVERY = left, left
    # A time-out costs its time in each run; the real one is for the real Slack.
    cast(Any, app).Tools = partial(Tools, send_seconds=float(sys.argv[1]))
    if len(sys.argv) > 2:
        Dying(sys.argv[2], int(sys.argv[3])).install()
    app.main()
