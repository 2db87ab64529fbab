"""Downloads jars from Maven's central repository, or a mirror of it, and takes only what is locked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import httpx
from jgo.constants import MAVEN_CENTRAL_URL

from sentryml_local.errors import StackError
from sentryml_local.jars import KAFKA_VERSION, Jar

MIRROR = "SENTRYML_MAVEN_REPOSITORY"
ATTEMPTS, AT_ONCE = 3, 8
TIMEOUT = httpx.Timeout(30, pool=None)


def download(jars: Sequence[Jar], folder: Path) -> None:
    """Put `jars` into `folder`.

    Raises:
        StackError: one could not be fetched; those that arrived are kept.
    """
    try:
        asyncio.run(_fetch(jars, folder))
    except* (httpx.HTTPError, httpx.InvalidURL, OSError, _NotAsLocked) as group:
        problem = group.exceptions[0]
        raise StackError(
            f"Apache Kafka {KAFKA_VERSION} could not be fetched: {_describe(problem)}.\n"
            "Check that Maven's central repository can be reached from here (HTTPS_PROXY, SSL_CERT_FILE), or name a "
            f"mirror of it ({MIRROR}=https://…), then run the same command again: downloaded files are kept."
        ) from problem


class _NotAsLocked(Exception):
    """A file arrived that is not the one which was locked."""


def _describe(problem: BaseException) -> str:
    if isinstance(problem, httpx.HTTPStatusError):
        return f"{problem.request.url}: HTTP {problem.response.status_code}"
    if isinstance(problem, httpx.RequestError):
        return f"{problem.request.url}: {type(problem).__name__} {problem}".rstrip()
    return str(problem)


async def _fetch(jars: Sequence[Jar], folder: Path) -> None:
    certificates = httpx.create_ssl_context()  # of certifi, or SSL_CERT_FILE
    certificates.load_default_certs()  # and of the machine
    repository = os.environ.get(MIRROR) or str(MAVEN_CENTRAL_URL)
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with (
        httpx.AsyncClient(
            base_url=repository, verify=certificates, timeout=TIMEOUT, limits=limits, follow_redirects=True
        ) as client,
        asyncio.TaskGroup() as together,
    ):
        for jar in jars:
            together.create_task(_fetch_one(client, jar, folder))


async def _fetch_one(client: httpx.AsyncClient, jar: Jar, folder: Path) -> None:
    """Fetch one jar; a failure is retried."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = (await client.get(jar.path)).raise_for_status()
            break
        except httpx.HTTPError:
            if attempt == ATTEMPTS:
                raise
            await asyncio.sleep(attempt)
    if not jar.matches(answer.content):
        raise _NotAsLocked(f"{answer.url}: the file does not match the lock file (sha256 {jar.sha256})")
    part = folder / f"{jar.file_name}.part"
    part.write_bytes(answer.content)
    part.rename(folder / jar.file_name)
