"""Style sheets, scripts and the icon, each under a name that has the hash of its content in it.

Such a name never means anything else, so browsers keep it for good; a page of a new release names new ones. Nothing
secret is in them, so they are compressed, once, at start.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

from sentryml_common.errors import ConfigurationError

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).resolve().parent / "static"
OURS = (
    "alerts.css",
    "app.css",
    "charts.css",
    "charts.js",
    "forms.css",
    "icon.svg",
    "incidents.css",
    "live.css",
    "live.js",
    "overview.css",
    "preview.js",
    "times.js",
)
FROM_NPM = ("idiomorph.min.js",)
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HASH_LENGTH = 12
FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served."""

    address: str
    media_type: str
    content: bytes
    compressed: bytes


def read_assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """All files that pages name, by their plain names.

    Raises:
        ConfigurationError: one from npm was not installed.
    """
    paths = [folder / name for name in OURS] + [folder / "vendor" / name for name in FROM_NPM]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)}: not installed in {folder}. Pages load it, and it comes from npm: run make install "
            "(in a container: build the image again)"
        )
    return {path.name: _read(path) for path in paths}


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    stem, dot, ending = path.name.rpartition(".")
    digest = sha256(content).hexdigest()[:HASH_LENGTH]
    return Asset(f"{stem}.{digest}{dot}{ending}", TYPES[path.suffix], content, gzip.compress(content, mtime=0))


@cache
def _assets() -> dict[str, Asset]:
    return read_assets()


@cache
def _served() -> dict[str, Asset]:
    return {asset.address: asset for asset in _assets().values()}


def asset(name: str) -> str:
    """The way to a file from the service's root, for templates: `static/app.0123456789ab.css`."""
    return f"static/{_assets()[name].address}"


def accepts_gzip(request: Request) -> bool:
    """Whether a browser takes answers that are compressed."""
    return "gzip" in request.headers.get("Accept-Encoding", "")


@router.get("/static/{address}")
async def show(request: Request, address: str) -> Response:
    """One file; there is none under its plain name, nor under that of another release."""
    found = _served().get(address)
    if found is None:
        raise HTTPException(404, "There is no such file: the page that names it is of another release. Load it again.")
    headers = {"Cache-Control": FOR_GOOD, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
    if accepts_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return Response(found.compressed, media_type=found.media_type, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)
