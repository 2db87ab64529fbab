"""Supervision by the package `supervisor`: it starts our processes, restarts killed ones, and stops them all.

Its settings lie in the data folder, its control socket beside them (or, where that path is too long for a socket,
in the folder for temporary files).
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from sentryml_local.errors import StackError
from sentryml_local.programs import Program
from sentryml_local.state import private_folder

LONGEST_SOCKET_PATH = 90
UNFIT = ("%", ",", '"', "'", "\\", "\n", " ;", " #")
"""What a data folder's path cannot hold: supervisor's settings or Kafka's have no way to write it."""
START_SECONDS, STOP_SECONDS, KILLED_SECONDS = 300.0, 60.0, 5.0
MARK = "SENTRYML_STACK"
_PAUSE = threading.Event()
AWAY = (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError)


class Supervisor:
    """The supervisor of one data folder."""

    def __init__(self, folder: Path) -> None:
        unfit = [part for part in UNFIT if part in str(folder)]
        if unfit:
            raise StackError(f"the data folder's path, {folder}, holds {unfit[0]!r}: name another one with --data")
        self._folder = folder
        self._settings = folder / "supervisord.conf"
        self._pid_file = folder / "supervisord.pid"
        socket = folder / "supervisor.sock"
        if len(str(socket)) > LONGEST_SOCKET_PATH:
            name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
            socket = Path(tempfile.gettempdir()) / f"sentryml-{name}.sock"
        self._socket = socket

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as server:
                return getattr(server.supervisor, method)(*arguments)
        finally:
            transport.close()

    def running(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except AWAY:
            return False

    def start(self, programs: Iterable[Program]) -> None:
        """Start the supervisor itself; its programs wait to be started by name.

        Raises:
            StackError: it does not come up.
        """
        private_folder(self._folder / "logs")
        self._settings.touch(mode=0o600)
        self._settings.write_text(self._configuration(programs))
        self._socket.unlink(missing_ok=True)
        command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(self._settings)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
        _eventually(lambda: self.running() or not self._lives(), START_SECONDS)
        if result.returncode or not self.running():
            said = (result.stderr or result.stdout).strip()[-500:]
            raise StackError(f"the supervisor did not start: {said or 'see ' + str(self._folder / 'logs')}")

    def _lives(self) -> bool:
        """Whether there is a process of it, whether it answers or not."""
        return any(str(self._settings) in _command(process) for process in psutil.process_iter())

    def _configuration(self, programs: Iterable[Program]) -> str:
        user = "user=root\n" if os.geteuid() == 0 else ""
        logs = self._folder / "logs"
        head = (
            f"[unix_http_server]\nfile={self._socket}\nchmod=0700\n\n"
            f"[supervisord]\npidfile={self._pid_file}\nlogfile={logs}/supervisord.log\nlogfile_maxbytes=1MB\n"
            f"logfile_backups=1\nchildlogdir={logs}\nnocleanup=true\numask=077\n{user}\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        )
        return head + "".join(_section(program, logs) for program in programs)

    def start_program(self, name: str) -> None:
        """Start one program if it does not run."""
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise StackError(f"{name} could not be started: {fault.faultString}") from fault

    def processes(self) -> dict[str, dict[str, Any]]:
        """State of each program, by name."""
        try:
            return {each["name"]: each for each in self._call("getAllProcessInfo")}
        except AWAY:
            return {}

    def stop(self, first: Iterable[str]) -> None:
        """Stop the programs of `first` together, then the others, then the supervisor; leave no process behind."""
        roots = self._roots()
        family = {*roots, *(child for process in roots for child in _children(process))}
        if self.running():
            self.stop_programs([name for name in first if name in self.processes()])
            with suppress(*AWAY, xmlrpc.client.Fault):  # it went while answering: what is left is seen below
                self._call("stopAllProcesses")
                self._call("shutdown")
        else:
            _ask_to_end(roots)  # whatever outlived a supervisor that was killed
        _end(family, STOP_SECONDS)
        self._socket.unlink(missing_ok=True)

    def stop_programs(self, names: list[str]) -> None:
        for name in names:
            with suppress(xmlrpc.client.Fault):  # it was not running
                self._call("stopProcess", name, False)
        _eventually(lambda: not any(self.processes().get(name, {}).get("pid") for name in names), STOP_SECONDS)

    def _roots(self) -> list[psutil.Process]:
        """The supervisor and its programs, also where it is gone: by our mark, or by our folder."""
        return [process for process in psutil.process_iter() if self._is_ours(process) and process.pid != os.getpid()]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            command = process.cmdline()
            if str(self._settings) in command or (command[:1] and command[0].endswith("/postgres")):
                # PostgreSQL's own folder: another stack's folder may lie within ours, as the demo's does.
                own = (str(self._settings), f"{self._folder}/postgres/")
                return any(part.startswith(own) for part in command)
            return process.environ().get(MARK) == str(self._folder)
        except (psutil.Error, OSError):
            return False


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _section(program: Program, logs: Path) -> str:
    """One program, as supervisor's settings want it (`%` doubled, values quoted)."""
    marked = {**program.environment, MARK: str(logs.parent)}
    environment = ",".join(f'{name}="{_escape(value)}"' for name, value in marked.items())
    command = shlex.join(program.command)
    lines = {
        "command": _escape(command),
        "environment": environment,
        "autostart": "false",
        "autorestart": "true",
        "startsecs": "1",
        "startretries": "1000000",
        "stopsignal": program.stop_signal,
        "stopwaitsecs": "25",
        "stopasgroup": "false",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": f"{logs}/{program.name}.log",
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "2",
        **({"user": program.user, "directory": "/"} if program.user else {}),
    }
    return f"\n[program:{program.name}]\n" + "".join(f"{name}={value}\n" for name, value in lines.items() if value)


def _escape(value: str) -> str:
    return value.replace("%", "%%").replace('"', '\\"')


def _eventually(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is true; False if it is not within `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        _PAUSE.wait(0.1)
    return True


def _ask_to_end(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)


def _end(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Wait until they have ended; those that will not end are killed."""
    left = list(processes)
    if _eventually(lambda: all(map(ended, left)), seconds):
        return
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _eventually(lambda: all(map(ended, left)), KILLED_SECONDS)


def ended(process: psutil.Process) -> bool:
    """Whether it does nothing any more. Its new parent, in a container perhaps one that polls every two seconds, may
    not have taken note of that yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
