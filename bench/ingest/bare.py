"""The least a gateway can be: it decodes events with msgspec and sends each body as one record.

It knows no keys, no limits, no errors by field, no metrics and no log; what it does not like is 400. Run as
`python -m bench.ingest.bare PORT BOOTSTRAP TOPIC`.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from typing import Any

import msgspec
import uvicorn
import uvloop
from aiokafka import AIOKafkaProducer


class Event(msgspec.Struct, gc=False):
    """An event."""

    model_id: str
    prediction: str | bool | float
    score: float | None = None
    timestamp: datetime | float | None = None
    event_id: str | None = None


_EVENT, _EVENTS = msgspec.json.Decoder(Event), msgspec.json.Decoder(list[Event])
_JSON = (b"content-type", b"application/json")


class Bare:
    """The ASGI application."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer, self._topic = producer, topic

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer any request as if it were to `/v1/events`."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        try:
            count = 1 if body[:1] == b"{" and _EVENT.decode(body) else len(_EVENTS.decode(body))
        except msgspec.DecodeError:
            await answer(send, 400, b'{"error":"bad"}')
            return
        await (await self._producer.send(self._topic, body))
        await answer(send, 202, b'{"accepted":%d}' % count)


async def answer(send: Any, status: int, body: bytes) -> None:
    """Send an answer."""
    headers = [_JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def main(port: int, bootstrap: str, topic: str) -> None:
    """Serve until the process ends."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5, max_request_size=1_048_576)
    async with producer:
        config = uvicorn.Config(
            Bare(producer, topic), port=port, http="httptools", log_level="error", access_log=False, lifespan="off"
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
