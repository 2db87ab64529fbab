"""The user's cache of Kafka's jars, and of the classes that Java has loaded from them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sentryml_local import kafka
from sentryml_local.errors import StackError
from sentryml_local.jar_cache import ensure_jars
from sentryml_local.jars import LOCK_FILE, jars_folder, read_lock
from sentryml_local.kafka import class_cache, prepare
from tests.support.ports import free_port


class Mirror(ThreadingHTTPServer):
    """A mirror of Maven's repository, out of the cache that is there; counts what is asked for."""

    def __init__(self, jars: Path) -> None:
        super().__init__(("127.0.0.1", 0), MirrorHandler)
        self.jars, self.garbage = jars, False
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/maven"


class MirrorHandler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = b"no jar" if self.server.garbage else (self.server.jars / Path(self.path).name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror(ensure_jars(lambda _: None))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_lock_names_every_jar_once_and_no_address() -> None:
    jars = read_lock()
    assert len({jar.file_name for jar in jars}) == len(jars) > 40
    assert all(len(jar.sha256) == 64 for jar in jars)
    assert "//" not in LOCK_FILE.read_text()


def test_two_at_once_fetch_every_jar_once(mirror: Mirror, tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path), "SENTRYML_MAVEN_REPOSITORY": mirror.url}
    code = (
        "import sys; from sentryml_local import jar_cache; sys.stdout.write(str(jar_cache.ensure_jars(lambda _: None)))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    folders = {process.communicate(timeout=120)[0].strip() for process in both}
    assert len(folders) == 1
    assert sorted(path.name for path in Path(folders.pop()).iterdir()) == sorted(jar.file_name for jar in read_lock())
    assert sorted(mirror.asked) == sorted(f"/maven/{jar.path}" for jar in read_lock())


def test_what_has_arrived_is_kept_and_what_is_not_as_locked_is_refused(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = jars_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("SENTRYML_MAVEN_REPOSITORY", mirror.url)
    part = jars_folder().with_name(f"{jars_folder().name}.part")
    part.mkdir(parents=True)
    missing, *there = read_lock()
    for jar in there:
        (part / jar.file_name).symlink_to(whole / jar.file_name)
    mirror.garbage = True
    with pytest.raises(StackError, match="does not match the lock file"):
        ensure_jars(lambda _: None)
    assert not jars_folder().exists()
    mirror.garbage = False
    assert (ensure_jars(lambda _: None) / missing.file_name).exists()
    assert set(mirror.asked) == {f"/maven/{missing.path}"}


def test_a_cache_of_classes_that_does_not_fit_is_taken_for_none(tmp_path: Path) -> None:
    jars = tmp_path / "jars"
    jars.mkdir()
    for jar in ensure_jars(lambda _: None).glob("*.jar"):
        (jars / jar.name).symlink_to(jar)
    class_cache(jars).write_bytes(b"of another Java")
    prepare(jars, tmp_path / "data", free_port(), free_port())
    assert (tmp_path / "data" / "data" / "meta.properties").exists()


def test_nothing_is_kept_of_a_broker_that_ends_before_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = tmp_path / f"{class_cache(tmp_path).stem}.part"
    ends = f"import sys, pathlib; 'kafka.Kafka' in sys.argv and pathlib.Path({str(writes)!r}).write_bytes(b'half')"
    monkeypatch.setattr(kafka, "java", lambda *_: [sys.executable, "-c", ends])
    kafka.make_class_cache(tmp_path, free_port(), free_port())
    assert list(tmp_path.iterdir()) == []
