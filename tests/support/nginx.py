"""A real nginx before a server, as people put it there: the machine's, or else Debian's package, which is unpacked
into the user's cache, since nobody needs to be root for that."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sentryml_local.jars import cache_folder
from tests.support.eventually import eventually_sync

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""


def find_nginx() -> str:
    """The program.

    Raises:
        AssertionError: there is none, and none can be fetched.
    """
    installed = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return installed or str(_from_debian(cache_folder() / "nginx"))


def _from_debian(folder: Path) -> Path:
    """The program out of Debian's package, which needs nothing that is not on such a system anyway."""
    assert shutil.which("apt-get"), "install nginx: this test runs the real one"
    program = folder / "usr/sbin/nginx"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            subprocess.run(["apt-get", "download", "nginx"], cwd=folder, check=True, capture_output=True)
            (package,) = folder.glob("nginx_*.deb")
            subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
    return program


@contextmanager
def nginx(folder: Path, port: int, locations: str) -> Iterator[None]:
    """An nginx on a port, with these `location` blocks; its files lie in `folder`."""
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, locations=locations))
    process = subprocess.Popen([find_nginx(), "-p", str(folder), "-c", str(configuration)])
    try:
        eventually_sync(lambda: _listens(port), what="nginx to start")
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
