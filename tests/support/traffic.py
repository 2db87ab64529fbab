"""Traffic of every kind: single events and arrays, of now and of hours ago, by any key or none, with and without a
version."""

from __future__ import annotations

import asyncio
import random
import time

from tests.support.counting import Producer

MODELS = 5
KEYS = (None, None, b"one-key-for-all", b"model")
"""No key, one key for all (which puts everything into one partition), and the model's own."""

SLICES: tuple[dict[str, object], ...] = ({}, {}, {"version": "2.2", "segment": "eu"}, {"version": "2.3"})


def some_batches(rng: random.Random) -> list[list[dict[str, object]]]:
    """200 records' worth of events; each batch is of one model."""

    def event(model_id: str) -> dict[str, object]:
        old = rng.choice([0, 0, 0, 60, 3600, 5 * 3600])
        return {
            "model_id": model_id,
            "prediction": rng.choice(["late", "on time"]),
            "score": rng.random(),
            "timestamp": round(time.time() - old - rng.random(), 3),
            **rng.choice(SLICES),
        }

    models = [f"model-{rng.randrange(MODELS)}" for _ in range(200)]
    return [[event(model_id) for _ in range(rng.choice([1, 1, 1, 10]))] for model_id in models]


async def keep_producing(producer: Producer, rng: random.Random, enough: asyncio.Event) -> None:
    """Produce until it is enough; returns when Kafka has acknowledged all."""
    while not enough.is_set():
        key, batches = rng.choice(KEYS), some_batches(rng)
        if key == b"model":
            for batch in batches:
                await producer.send([batch], key=str(batch[0]["model_id"]).encode())
        else:
            await producer.send(batches, key=key)
        await asyncio.sleep(0.05)
