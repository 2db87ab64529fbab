"""A gateway as tutorials write it: FastAPI validates a list of models, and each event is sent as a record.

Run as `python -m bench.ingest.tutorial PORT BOOTSTRAP TOPIC`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI
from pydantic import AwareDatetime, BaseModel

PORT, BOOTSTRAP, TOPIC = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Event(BaseModel):
    """An event."""

    model_id: str
    prediction: str | bool | float
    score: float | None = None
    timestamp: AwareDatetime | None = None
    event_id: str | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep a producer."""
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", linger_ms=5) as app.state.producer:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/events", status_code=202)
async def post_events(events: list[Event] | Event) -> dict[str, int]:
    """Send each event as a record of its own."""
    several = events if isinstance(events, list) else [events]
    sent = [await app.state.producer.send(TOPIC, each.model_dump_json().encode()) for each in several]
    await asyncio.gather(*sent)
    return {"accepted": len(several)}


if __name__ == "__main__":
    uvicorn.run(app, port=PORT, log_level="error", access_log=False)
