"""Senders: connections that each send the next request when the last one is answered, or at a pace.

A process of its own, so that its CPU is not the gateway's: `python -m bench.ingest.load PORT KEY EVENTS SECONDS RATE`
writes a line of JSON: requests, events, seconds, p50 and p99 in milliseconds, answers other than 202.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import numpy as np
import orjson
import uvloop

CONNECTIONS = 64
MODEL_IDS = [f"fraud-v3-{number:03d}" for number in range(50)]
DIFFERENT_BODIES = 40


def bodies(events: int, rng: np.random.Generator) -> list[bytes]:
    """Different bodies of this number of events, of several models."""
    now = time.time()

    def event() -> dict[str, object]:
        score = float(rng.beta(2, 5))
        at = np.datetime64(int((now - rng.uniform(0, 60)) * 1e6), "us")
        model = MODEL_IDS[rng.integers(len(MODEL_IDS))]
        return {"model_id": model, "prediction": round(score, 6), "score": score, "timestamp": f"{at}Z"}

    made = ([event() for _ in range(events)] for _ in range(DIFFERENT_BODIES))
    return [orjson.dumps(each if events > 1 else each[0]) for each in made]


class Sender(asyncio.Protocol):
    """One connection; its requests go out one after the other, none before its time."""

    def __init__(self, requests: list[bytes], pace: float, until: float, took: list[float]) -> None:
        self._requests, self._pace, self._until, self._took = requests, pace, until, took
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.refused = 0
        self._number, self._due, self._received = 0, 0.0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, at a time of its own."""
        self._transport = cast(asyncio.Transport, transport)
        begin = time.perf_counter() + self._pace * np.random.default_rng().random()
        self._due = begin
        self._next()

    def _next(self) -> None:
        now = time.perf_counter()
        if now >= self._until:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
        elif now < self._due:
            asyncio.get_running_loop().call_later(self._due - now, self._next)
        else:
            self._asked = max(self._due, 0.0) if self._pace else now
            self._due += self._pace
            self._number += 1
            self._transport.write(self._requests[self._number % len(self._requests)])

    def data_received(self, data: bytes) -> None:
        """Answers are short; the whole of one has come when its body has."""
        self._received += data
        if self._received.endswith(b"}"):
            self.refused += not self._received.startswith(b"HTTP/1.1 202")
            self._received = b""
            self._took.append(time.perf_counter() - self._asked)
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that the gateway closes ends its sender."""
        if not self.done.done():
            self.refused += 1
            self.done.set_result(None)


async def main(port: int, key: str, events: int, seconds: float, rate: float) -> None:
    """Send, and say how it went; `rate` in requests a second for all connections, 0: as fast as answers come."""
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    requests = [
        f"{head}Content-Length: {len(each)}\r\n\r\n".encode() + each
        for each in bodies(events, np.random.default_rng(7))
    ]
    took: list[float] = []
    begun = time.perf_counter()
    pace = CONNECTIONS / rate if rate else 0.0
    loop, senders = asyncio.get_running_loop(), []
    for number in range(CONNECTIONS):
        own = requests[number % len(requests) :] + requests[: number % len(requests)]
        _, sender = await loop.create_connection(
            lambda own=own: Sender(own, pace, begun + seconds, took), "127.0.0.1", port
        )
        senders.append(sender)
    await asyncio.gather(*(sender.done for sender in senders))
    spent = time.perf_counter() - begun
    p50, p99 = np.percentile(took, [50, 99]) * 1e3 if took else (0.0, 0.0)
    said = {
        "requests": len(took),
        "events": len(took) * events,
        "seconds": spent,
        "p50": float(p50),
        "p99": float(p99),
        "refused": sum(sender.refused for sender in senders),
    }
    sys.stdout.write(orjson.dumps(said).decode() + "\n")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])))
