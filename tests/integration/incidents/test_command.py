"""The command `sentryml` against the real API: monitors from files, actions, what is followed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from sentryml.command.__main__ import main
from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.usecases.context import Context
from tests.integration.incidents.conftest import PUBLIC_URL, Life, MakeClient, StillClock, app_on, register
from tests.integration.incidents.stream_clients import serving
from tests.integration.incidents.test_stream import an_app
from tests.unit.incidents.builders import MODEL, MONDAY, at

ROOT = Path(__file__).resolve().parents[3]
Command = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
async def command(
    pool: Pool,
    clock: StillClock,
    api: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Command]:
    """Run the command beside the server; its exit code, and all that it said."""
    monkeypatch.setenv("SENTRYML_API_KEY", api.headers["Authorization"].removeprefix("Bearer "))

    async def run(*arguments: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, list(arguments))
        said = capsys.readouterr()
        return code, said.out + said.err

    async with serving(app_on(Context(PUBLIC_URL, clock, pool))) as url:
        monkeypatch.setenv("SENTRYML_URL", url)
        yield run


@pytest.fixture
async def exported(command: Command, pool: Pool, life: Life, tmp_path: Path) -> Path:
    """A folder with the files of two models."""
    await register(pool, "eu:churn", MonitorSettings())
    code, said = await command("monitors", "export", "-f", str(tmp_path))
    assert (code, said.splitlines()[-1]) == (0, "2 files written, 0 unchanged.")
    return tmp_path


def change(folder: Path, old: str, new: str) -> Path:
    path = folder / f"{MODEL}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


async def test_what_was_exported_is_in_force(command: Command, exported: Path) -> None:
    assert sorted(os.listdir(exported)) == ["eu%3Achurn.yaml", f"{MODEL}.yaml"]
    code, said = await command("monitors", "apply", "-f", str(exported), "--dry-run")
    assert (code, said) == (0, "0 of 2 monitors differ from their files.\n")
    code, said = await command("monitors", "export", "-f", str(exported))
    assert (code, said) == (0, "0 files written, 2 unchanged.\n")


async def test_a_changed_file_is_previewed_and_applied_once(
    command: Command, exported: Path, api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("critical", "ok", "ok")
    clock.now = at(10)
    path = change(exported, "\ncritical: 0.2\n", "\ncritical: 9\n")
    code, said = await command("monitors", "apply", "-f", str(exported), "--dry-run")
    assert code == 4
    assert "critical  0.2 → 9" in said
    assert "it would have opened 1 incident with" in said
    assert "egments" not in said
    assert f"{MODEL} ({path}), now at version 1, by SentryML" in said
    assert (await api.get(f"/v1/models/{MODEL}/monitor")).json()["version"] == 1
    code, said = await command("monitors", "apply", "-f", str(path), "--yes", "--json")
    assert (code, json.loads(said[: said.rindex("}") + 1])["applied"]) == (0, [MODEL])
    code, said = await command("monitors", "apply", "-f", str(path), "--yes")
    assert (code, said) == (0, "0 of 1 monitors differ from their files.\n")
    found = (await api.get(f"/v1/models/{MODEL}/monitor")).json()
    assert (found["version"], found["critical"]) == (2, 9)
    change(exported, "\nevaluate_segments: false\n", "\nevaluate_segments: true\n")
    code, said = await command("monitors", "apply", "-f", str(path), "--dry-run")
    assert "\n  Segments are left out: these are the incidents that all predictions together would have opened" in said


async def test_a_change_by_somebody_else_is_told_and_exported(
    command: Command, exported: Path, api: httpx.AsyncClient
) -> None:
    await api.put(f"/v1/models/{MODEL}/monitor", json={"bins": 12})
    code, said = await command("monitors", "apply", "-f", str(exported), "--dry-run")
    assert code == 4
    assert "version 2, by ana's key" in said
    assert "bins  12 → 10" in said
    await command("monitors", "export", "-f", str(exported), "--model", MODEL)
    assert (await command("monitors", "apply", "-f", str(exported), "--dry-run"))[0] == 0


async def test_a_monitor_is_managed_by_its_file_until_it_is_released(
    command: Command, exported: Path, api: httpx.AsyncClient, client_with: MakeClient
) -> None:
    path = exported / f"{MODEL}.yaml"
    path.write_text(f"model_id: {MODEL}\nwarn: 0.15\nbins: 10\n")
    assert (await command("monitors", "apply", "-f", str(exported), "--yes"))[0] == 0
    managed = (await api.get(f"/v1/models/{MODEL}/monitor")).json()["managed_by"]
    assert (managed["source"], managed["version"]) == (f"{exported.name}/{MODEL}.yaml", 2)
    assert (managed["settings"], managed["changed_since"]) == ({"warn": 0.15, "bins": 10}, [])
    unchanged = (await api.get("/v1/models/eu:churn/monitor")).json()
    assert (unchanged["version"], unchanged["managed_by"]["source"]) == (1, f"{exported.name}/eu%3Achurn.yaml")

    await (await client_with(Scope.READ, Scope.WRITE, name="jane")).put(
        f"/v1/models/{MODEL}/monitor", json={"warn": 0.12, "critical": 0.4}
    )
    code, said = await command("monitors", "apply", "-f", str(exported), "--dry-run")
    assert code == 4
    assert re.search(r"warn  0\.12 → 0\.15  \(applied as 0\.15, changed by jane at 2026-\S+Z\)\n", said), said
    assert "critical" not in said, "the file does not name it"
    assert "is managed by" not in said
    code, said = await command("monitors", "apply", "-f", str(exported), "--dry-run", "--managed-by", "acme/drift")
    assert f"{MODEL} is managed by {exported.name}/{MODEL}.yaml. Applied, acme/drift manages it instead" in said
    assert f"eu:churn is managed by {exported.name}/eu%3Achurn.yaml." in said
    code, said = await command("monitors", "apply", "-f", str(exported), "--yes", "--managed-by", "acme/drift")
    managed = (await api.get(f"/v1/models/{MODEL}/monitor")).json()["managed_by"]
    assert (code, managed["source"], managed["version"], managed["changed_since"]) == (0, "acme/drift", 4, [])

    assert (await command("monitors", "release", MODEL, "eu:churn", "nobody"))[0] == 1
    assert (await api.get(f"/v1/models/{MODEL}/monitor")).json()["managed_by"] is None
    await command("monitors", "apply", "-f", str(path), "--yes")
    assert (await api.get(f"/v1/models/{MODEL}/monitor")).json()["managed_by"]["source"] == f"{MODEL}.yaml"


async def test_what_is_wrong_is_said_with_file_and_line_before_anything_is_changed(
    command: Command, exported: Path, api: httpx.AsyncClient
) -> None:
    path = change(exported, "\nwarn: 0.1\n", "\nwarn: 0.3\nwran: 1\n")
    (exported / "eu%3Achurn.yaml").write_text("model_id: eu:churn\nbins: 12\n")
    (exported / "nobody.yaml").write_text("# soon\nmodel_id: nobody\n")
    lines = {line.partition(":")[0]: number + 1 for number, line in enumerate(path.read_text().splitlines())}
    code, said = await command("monitors", "apply", "-f", str(exported), "--yes")
    assert code == 1
    assert f"{path}:{lines['wran']}: wran: unknown field" in said
    assert f"{exported}/nobody.yaml:2: model_id nobody: no event of it has arrived yet" in said
    assert "Nothing was changed." in said
    assert (await api.get("/v1/models/eu:churn/monitor")).json()["version"] == 1
    path.unlink()
    code, said = await command("monitors", "apply", "-f", str(exported), "--yes", "--skip-unknown")
    assert (code, said.splitlines()[-1]) == (0, "1 changed, 0 unchanged, 0 refused.")


async def test_nothing_is_changed_without_a_yes_or_once_it_has_changed_meanwhile(
    command: Command, exported: Path, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Person(StringIO):
        """Types `n`, then `y` after somebody else was faster."""

        answers = ("n\n", "y\n")

        def isatty(self) -> bool:
            return True

        def readline(self, *_: Any) -> str:
            answer, *self.answers = self.answers
            if answer == "y\n":
                asyncio.run_coroutine_threadsafe(meanwhile(), loop).result()
            return answer

    async def meanwhile() -> None:
        await api.put(f"/v1/models/{MODEL}/monitor", json={"bins": 12})

    loop = asyncio.get_running_loop()
    monkeypatch.setattr("sys.stdin", Person())
    change(exported, "\ncritical: 0.2\n", "\ncritical: 0.3\n")
    code, said = await command("monitors", "apply", "-f", str(exported))
    assert (code, "Nothing was changed." in said) == (1, True)
    code, said = await command("monitors", "apply", "-f", str(exported))
    assert (code, "answered 412" in said, "1 refused" in said) == (1, True, True)
    assert (await api.get(f"/v1/models/{MODEL}/monitor")).json()["critical"] == 0.2


async def test_incidents_are_acted_on(command: Command, life: Life, api: httpx.AsyncClient, clock: StillClock) -> None:
    await life.sees("critical")
    clock.now = at(5)
    code, said = await command("incidents", "close", "1")
    assert (code, "acknowledge" in said) == (1, True), "an open one is acknowledged first, and that is said"
    for action, says in (
        (["ack", "1", "--note", "on it"], "Incident 1 is acknowledged. It alerts again when it gets worse."),
        (["unack", "1"], "Incident 1 is open."),
        (["note", "1", "--note", "the new pricing"], "Incident 1 is open."),
        (["accept", "1"], "Incident 1 is closed. What has been since it opened is the new normal"),
        (["undo", "1"], "Incident 1 is open."),
        (["was-normal", "1"], "Incident 1 is closed. Its time counts as normal"),
    ):
        code, said = await command("incidents", *action)
        assert (code, says in said) == (0, True), said
    steps = (await api.get("/v1/incidents/1/timeline")).json()["items"]
    assert [step["note"] for step in steps if step["note"]] == ["on it", "the new pricing"]


async def test_a_reference_is_pushed_and_shown(command: Command, life: Life, tmp_path: Path) -> None:
    path = tmp_path / "validation.csv"
    path.write_text("label,score\n" + "".join(f"legit,0.{number % 10}\n" for number in range(100)))
    code, said = await command("reference", "show", MODEL)
    assert (code, "404" in said) == (1, True)
    code, said = await command("reference", "push", str(path), "--model", MODEL)
    assert (code, f"{MODEL}: in force" in said) == (0, True), said
    code, said = await command("reference", "show", MODEL)
    assert (code, said.splitlines()[0]) == (0, f"{MODEL}: 100 events, uploaded 2026-11-23T09:15:00Z")
    code, said = await command("reference", "push", str(path), "--model", "nobody")
    assert (code, "no event of this model" in said or "404" in said) == (1, True)


async def test_what_happens_is_followed_until_ctrl_c(
    pool: Pool, clock: StillClock, api: httpx.AsyncClient, life: Life
) -> None:
    async with an_app(pool, clock) as (app, hub), serving(app, hub.close) as url:
        environment = {"SENTRYML_URL": url, "SENTRYML_API_KEY": api.headers["Authorization"].removeprefix("Bearer ")}
        tailing = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sentryml.command", "tail", "--json", env=environment, stdout=PIPE, stderr=PIPE
        )
        assert tailing.stdout is not None
        assert tailing.stderr is not None

        assert b"Following" in await tailing.stderr.readline()
        await life.sees("critical")
        found = [json.loads(await tailing.stdout.readline()) for _ in range(2)]
        assert {(each["event"], each["model_id"]) for each in found} == {("transition", MODEL), ("evaluation", MODEL)}
        tailing.send_signal(signal.SIGINT)
        assert await tailing.wait() == 130
        assert await tailing.stderr.read() == b""


SNIPPETS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


async def test_every_snippet_of_the_page_does_what_it_says(
    command: Command, pool: Pool, life: Life, tmp_path: Path
) -> None:
    """In one shell, one after another, as one who reads the page would."""
    await register(pool, "fraud", MonitorSettings())
    rows = "".join(f"{MONDAY.timestamp() + 300 * number},legit,0.{number % 10}\n" for number in range(500))
    for name in ("predictions.csv", "validation.csv"):
        (tmp_path / name).write_text(f"ts,predicted_label,probability\n{rows}")
    snippets = SNIPPETS.findall((ROOT / "docs/command.md").read_text())
    assert len(snippets) > 2
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SENTRYML_INCIDENTS_URL": os.environ["SENTRYML_URL"],
        "SENTRYML_ADMIN_KEY": os.environ["SENTRYML_API_KEY"],
    }
    process = await asyncio.create_subprocess_exec(
        "bash", "-euxc", "\n".join(snippets), env=environment, cwd=tmp_path, stdout=PIPE, stderr=STDOUT
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert (tmp_path / "monitors" / f"{MODEL}.yaml").exists()
