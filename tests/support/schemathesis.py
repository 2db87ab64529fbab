"""Schemathesis against a running service: does every answer do what the service's OpenAPI says?"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(sys.executable).with_name("schemathesis")
SECONDS = 300.0

STATUSES = ["2xx", "3xx", 401, 403, 404, 409, 429, 503]
"""What may answer a request that is right by its schema, whatever it asks for."""

CONFIG = """
color = false
seed = 1
[generation]
deterministic = true
max-examples = {examples}
[warnings]
enabled = false
[checks.positive_data_acceptance]
expected-statuses = {statuses}
"""
BEYOND = """
[[operations]]
include-name = "{method} {path}"
[operations.checks.positive_data_acceptance]
expected-statuses = {statuses}
"""


@dataclass(frozen=True, slots=True)
class Beyond:
    """A rule that no JSON schema can tell: an answer that a request may get although it is right by the schema."""

    method: str
    path: str
    status: int
    why: str


async def hold_to_openapi(url: str, key: str, folder: Path, *, examples: int, beyond: Sequence[Beyond] = ()) -> None:
    """Ask everything that the OpenAPI of the service at `url` describes, rightly and wrongly, with an API key.

    The same requests in every run.

    Raises:
        AssertionError: with what was asked and what was wrong about the answer.
    """
    config = folder / "schemathesis.toml"
    rules = {(each.method, each.path): [*STATUSES] for each in beyond}
    for each in beyond:
        rules[each.method, each.path].append(each.status)
    parts = [BEYOND.format(path=path, method=method, statuses=found) for (method, path), found in rules.items()]
    config.write_text(CONFIG.format(examples=examples, statuses=STATUSES) + "".join(parts))
    process = await asyncio.create_subprocess_exec(
        COMMAND, "--config-file", config, "run", f"{url}/openapi.json", "--checks", "all",
        "--header", f"Authorization: Bearer {key}", "--phases", "examples,coverage,fuzzing,stateful",
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, said.decode()
