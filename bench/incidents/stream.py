"""The stream to two hundred clients over HTTP: from the moment a step is asked for to the moment each client has it,
beside a bare NOTIFY to one listener."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import httpx
import orjson

from bench.incidents.service import Incidents
from bench.report import Figure, p95, say
from tests.support.eventually import eventually

CLIENTS, STEPS = 200, 100
INCIDENT = "/v1/incidents/1"


class Client:
    """Follows the stream and remembers when it got each note."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.follows = False
        self.got: dict[str, float] = {}

    async def follow(self) -> None:
        async with self._http.stream("GET", "/v1/stream", params={"kind": "transition"}, timeout=None) as answer:
            async for line in answer.aiter_lines():
                self.follows = True
                if line.startswith("data:") and '"noted"' in line:
                    self.got[str(orjson.loads(line[5:])["note"])] = time.perf_counter()


async def measure(service: Incidents) -> list[Figure]:
    """p95 in milliseconds; the service has incidents already."""
    with service.running():
        headers = {"Authorization": f"Bearer {service.make_key()}"}
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=service.url, headers=headers, timeout=30, trust_env=False, limits=limits
        ) as http:
            await service.ready(http)
            say(f"{CLIENTS} clients follow {STEPS} steps")
            latencies = await _fan_out(http)
    bare = await _bare(service.postgres)
    last = [max(each) for each in latencies]
    every = [one for each in latencies for one in each]
    return [
        Figure(f"to each of {CLIENTS} clients, p95", p95(every), bare, p95(every) / bare),
        Figure("to the last of them, p95", p95(last), bare, p95(last) / bare),
    ]


async def _fan_out(http: httpx.AsyncClient) -> list[list[float]]:
    """For each step the milliseconds until each client had it."""
    clients = [Client(http) for _ in range(CLIENTS)]
    tasks = [asyncio.create_task(client.follow()) for client in clients]
    try:

        async def all_follow() -> bool:
            return all(client.follows for client in clients)

        await eventually(all_follow, what="every client to follow")
        asked = {}
        for number in range(STEPS):
            note = f"step {number} of {time.time_ns()}"
            asked[note] = time.perf_counter()
            (await http.post(f"{INCIDENT}/notes", json={"note": note})).raise_for_status()

            async def all_have_it(note: str = note) -> bool:
                return all(note in client.got for client in clients)

            await eventually(all_have_it, what=f"every client to have {note}")
        return [[1000 * (client.got[note] - at) for client in clients] for note, at in asked.items()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _bare(postgres: str) -> float:
    """A bare NOTIFY to one listener, p95 in milliseconds."""
    speaker, listener = await asyncpg.connect(postgres), await asyncpg.connect(postgres)
    notified = asyncio.Event()
    times = []
    try:
        await listener.add_listener("bench", lambda *_: notified.set())
        for _ in range(STEPS):
            notified.clear()
            began = time.perf_counter()
            await speaker.execute("NOTIFY bench")
            await notified.wait()
            times.append(1000 * (time.perf_counter() - began))
    finally:
        await speaker.close()
        await listener.close()
    return p95(times)
