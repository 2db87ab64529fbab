"""Apache Kafka's jars: which ones is locked in `kafka-jars.lock`, with hashes; where they lie in the user's cache."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

KAFKA_VERSION = "4.3.1"
LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar, by its Maven coordinates."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """What it is called in any Maven repository, and in the cache."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Where it lies in a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"

    def matches(self, content: bytes) -> bool:
        """Whether this is what was locked."""
        return hashlib.sha256(content).hexdigest() == self.sha256


def read_lock() -> list[Jar]:
    """The locked jars: one a line, `group:artifact:version sha256`."""
    lines = [line for line in LOCK_FILE.read_text().splitlines() if not line.startswith("#")]
    return [Jar(*re.split("[: ]", line)) for line in lines]


def cache_folder() -> Path:
    """Where downloads are kept for this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sentryml"


def jars_folder() -> Path:
    """Where Kafka's jars are, once they have been fetched."""
    digest = hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()[:12]
    return cache_folder() / f"kafka-{KAFKA_VERSION}-{digest}"
