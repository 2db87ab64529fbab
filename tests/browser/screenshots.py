"""`make screenshots`: every page in light, dark, on a phone and on a wall, as pictures to be looked at by people.

On a stack of its own the demo is played until its incident is at its worst; there the processor is stopped, so that the
pages stand still. With `--docs` the pictures of the README are made again too. However it ends, all that it started is
stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from playwright.async_api import Browser, Page
from rich.console import Console

from sentryml_common.errors import SentryMLError, Unavailable
from sentryml_local.demo.folder import own_folder
from sentryml_local.demo.narrator import Narrator
from sentryml_local.demo.performance import open_performance
from sentryml_local.demo.predictions import predict_days
from sentryml_local.demo.time_scale import LABEL_MODEL, SCORE_MODEL
from sentryml_local.stack import Options, Stack
from tests.browser.pages import Page as Listed
from tests.browser.scene import Scene, a_scene
from tests.browser.visiting import a_visit
from tests.support.chromium import a_browser
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.ports import free_port_base

DEFAULT_FOLDER, PICTURES = Path(".sentryml/screenshots"), Path("screenshots")
DOCS = Path("docs/images")
VIEWS = {
    "light": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2},
    "wall": {"viewport": {"width": 2560, "height": 1440}},
}

BEFORE = (
    Listed("sign-in", "/sign-in", role=None),
    Listed("first-run", "/models"),
    Listed("incidents-none", "/incidents"),
    Listed("account", "/account"),
)
"""Pages before the first event."""
AFTER = (
    Listed("overview", "/models"),
    Listed("overview-nothing-found", "/models?search=nothing-like-this"),
    Listed("model", f"/models/{SCORE_MODEL}"),
    Listed("model-of-labels", f"/models/{LABEL_MODEL}"),
    Listed("monitor", f"/models/{SCORE_MODEL}/monitor"),
    Listed("incidents", "/incidents"),
    Listed("incident-open", "/incidents/{open}"),
    Listed("incident-over", "/incidents/{over}"),
    Listed("alerts", "/alerts"),
    Listed("new-channel", "/alerts/channels/new"),
    Listed("new-route", "/alerts/routes/new"),
    Listed("deliveries", "/alerts/deliveries"),
    Listed("keys", "/keys"),
    Listed("users", "/users"),
    Listed("user", "/users/{rosa}"),
    Listed("not-found", "/incidents/999999", status=404),
)
"""Pages while the demo's incident is open."""
UNREADABLE = (Listed("unreadable-records", "/alerts/unreadable"),)
"""The last, since other pages would speak of these records, too."""
IN_DOCS = {"overview": 620, "incident-open": 1400, "model": 1400}
"""The pictures of the README, and how many pixels of each from the top."""


def say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {line}\n")


async def take(scene: Scene, pages: Sequence[Listed], *, docs: bool) -> None:
    """All pages, in each view; each in a Chromium of its own, since one fails after some dozens of tall pictures."""
    for listed in pages:
        async with a_browser() as browser:
            await _take_views(browser, scene, listed, docs=docs)
        say(f"{listed.name}: {', '.join(VIEWS)}")


async def _take_views(browser: Browser, scene: Scene, listed: Listed, *, docs: bool) -> None:
    for view, options in VIEWS.items():
        async with a_visit(browser, scene, listed.role, **options) as page:
            await page.goto(listed.of(scene))
            await page.screenshot(path=PICTURES / f"{listed.name}-{view}.png", full_page=True)
            if docs and view == "light" and listed.name in IN_DOCS:
                await _keep(page, DOCS / f"{listed.name}.webp", IN_DOCS[listed.name])


async def _keep(page: Page, path: Path, height: int) -> None:
    """The upper part of a page, small enough for a repository."""
    await page.set_viewport_size({"width": 1120, "height": height})
    chrome = await page.context.new_cdp_session(page)
    found = await chrome.send("Page.captureScreenshot", {"format": "webp", "quality": 85})
    _write(path, base64.b64decode(found["data"]))


def _write(path: Path, picture: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)


async def play_to_the_worst(stack: Stack) -> dict[str, int]:
    """Play the demo until its incident is critical, and let all stand still; the numbers of that and an ended one."""
    environment = stack.environment()
    headers = {"Authorization": f"Bearer {environment['SENTRYML_ADMIN_KEY']}"}
    async with (
        http_client(environment["SENTRYML_INCIDENTS_URL"], headers=headers, timeout=30) as api,
        _playing(stack) as playing,
    ):

        async def worst() -> int | None:
            if playing.done():
                raise Unavailable("the demo was over before an incident was critical: is this machine busy? Try again")
            found = (await api.get("/v1/incidents", params={"model": SCORE_MODEL, "state": "open"})).json()["items"]
            return found[0]["incident_number"] if found and found[0]["severity"] == "critical" else None

        number = await eventually(worst, what="a critical incident")
        stack.stop(["processor"])
        everything = (await api.get("/v1/incidents")).json()["items"]
    over = [each["incident_number"] for each in everything if each["state"] in {"resolved", "closed"}]
    return {"open": number, "over": max(over, default=number)}


@asynccontextmanager
async def _playing(stack: Stack) -> AsyncIterator[asyncio.Task[list[str]]]:
    """The demo, playing beside what is done inside."""
    flights = await asyncio.to_thread(predict_days)
    async with open_performance(stack.environment(), Narrator(Console(quiet=True))) as performance:
        playing = asyncio.create_task(performance.play(flights))
        try:
            yield playing
        finally:
            playing.cancel()
            with suppress(asyncio.CancelledError):
                await playing


async def make(stack: Stack, *, docs: bool) -> None:
    """Everything, on a running stack that has seen no event."""
    async with a_scene(stack) as scene:
        await take(scene, BEFORE, docs=docs)
        say("the demo plays, up to the storms at the end of May")
        scene.numbers = await play_to_the_worst(stack)
        await take(scene, AFTER, docs=docs)
        await scene.send_unreadable()
        await take(scene, UNREADABLE, docs=docs)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description="Pictures of every page.")
    parser.add_argument("--docs", action="store_true", help=f"make the pictures of the README too, in {DOCS}")
    parser.add_argument("--port-base", type=int, metavar="N", help="first of the stack's ports (default: free ones)")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with own_folder(DEFAULT_FOLDER):
            options = Options(port_base=arguments.port_base or free_port_base(), fine_pane_seconds=1.0, durable=False)
            stack = Stack(DEFAULT_FOLDER, options, say)
            shutil.rmtree(PICTURES, ignore_errors=True)
            PICTURES.mkdir()
            try:
                stack.up()
                asyncio.run(make(stack, docs=arguments.docs))
            finally:
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(number, signal.SIG_IGN)
                stack.down()
        say(f"look at them in {PICTURES}/")
    except KeyboardInterrupt:
        sys.exit("stopped")
    except SentryMLError as err:
        sys.exit(f"screenshots: {err}")


if __name__ == "__main__":
    main()
