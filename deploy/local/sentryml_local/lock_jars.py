"""`python -m sentryml_local.lock_jars`: resolves Kafka's jars again into `kafka-jars.lock`, after a new version.

jgo's resolver in pure Python reads the poms. Nothing more of jgo: its environments would fetch a second Java.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from jgo.maven import MavenContext, PythonResolver

from sentryml_local.jars import KAFKA_VERSION, LOCK_FILE

# No log4j as a root: its dependency management would bring older kafka-clients, with which the broker dies.
COORDINATES = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
HEAD = "# Apache Kafka and all it needs, as `python -m sentryml_local.lock_jars` found it: coordinates, sha256.\n"


def main() -> None:
    """Entry point."""
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(resolver=PythonResolver(), repo_cache=Path(folder), timeout=60)
        roots, others = context.resolver.resolve([context.create_dependency(each) for each in COORDINATES])
        found = {f"{jar.groupId}:{jar.artifactId}:{jar.version}": jar.artifact.resolve() for jar in (*roots, *others)}
        lines = [f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n" for name, file in found.items()]
    LOCK_FILE.write_text(HEAD + "".join(sorted(lines)))
    print(f"{len(lines)} jars locked in {LOCK_FILE}")


if __name__ == "__main__":
    main()
