"""The local stack on odd machines: a data folder with a very long path, a slow start, a proxy that leads nowhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sentryml_local import stack
from sentryml_local.jar_cache import ensure_jars
from sentryml_local.kafka import cluster_id, prepare
from sentryml_local.stack import Options, Stack
from sentryml_local.supervision import LONGEST_SOCKET_PATH
from tests.support.ports import free_port, free_port_base


def test_a_data_folder_with_a_very_long_path_works() -> None:
    with TemporaryDirectory(prefix="sentryml-local-") as name:
        folder = Path(name) / "a-folder-whose-name-is-long" / "/".join(["and-yet-longer"] * 8)
        assert len(str(folder)) > LONGEST_SOCKET_PATH
        long = Stack(folder, Options(port_base=free_port_base(), only=("kafka", "postgres"), durable=False))
        try:
            long.up()
            assert {each.name for each in long.status() if each.state == "running"} >= {"kafka", "postgres"}
        finally:
            long.down()
        assert not any(each.pid for each in long.status())


def test_on_a_slow_machine_it_says_what_it_waits_for_and_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "SAY_EVERY_SECONDS", 0.2)  # any machine is slow for somebody in such a hurry
    said: list[str] = []
    with TemporaryDirectory(prefix="sentryml-local-") as name:
        slow = Stack(Path(name), Options(port_base=free_port_base(), only=("kafka",), durable=False), said.append)
        try:
            slow.up()
        finally:
            slow.down()
    waiting = [line for line in said if re.fullmatch(r"still waiting for kafka, \d+ s: it does not listen yet", line)]
    assert len(waiting) > 1
    assert said[-1] == "kafka is ready"


def test_any_folder_will_do_also_one_whose_cluster_id_begins_with_a_hyphen(tmp_path: Path) -> None:
    folder = next(tmp_path / str(n) for n in range(10_000) if cluster_id(tmp_path / str(n)).startswith("-"))
    prepare(ensure_jars(lambda _: None), folder, free_port(), free_port())
    assert f"cluster.id={cluster_id(folder)}" in (folder / "data" / "meta.properties").read_text()


def test_a_proxy_that_leads_nowhere_is_named_with_what_to_do(tmp_path: Path) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HTTPS_PROXY": proxy, "https_proxy": proxy}
    environment |= {"NO_PROXY": "", "no_proxy": "", "SENTRYML_MAVEN_REPOSITORY": ""}
    program = str(Path(sys.executable).with_name("sentryml-local"))
    data, port_base = str(tmp_path / "data"), str(free_port_base())
    up = subprocess.run(
        [program, "up", "--data", data, "--port-base", port_base, "--only", "kafka"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert up.returncode == 1
    assert "could not be fetched" in up.stderr
    assert "HTTPS_PROXY" in up.stderr
    assert "SENTRYML_MAVEN_REPOSITORY" in up.stderr
    assert "run the same command again" in up.stderr
    assert "Traceback" not in up.stderr
