"""Logs are JSON lines with facts as keys; they hold no locals and no secrets.

Logging is configured once per process, so each example is a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import orjson
import pytest

PRELUDE = """
import logging
from sentryml_common.logging import configure_logging, get_logger
from sentryml_common.settings import LogSettings
configure_logging("example", LogSettings(log_format={form!r}, log_level={level!r}))
log = get_logger("test")
"""


def said(code: str, *, form: str = "json", level: str = "info") -> str:
    """What a process that logs writes to standard error."""
    program = PRELUDE.format(form=form, level=level) + code
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == ""
    return done.stderr


def lines(text: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in text.splitlines()]


def test_a_log_is_one_json_line_with_facts_as_keys() -> None:
    [line] = lines(said("log.info('incident_opened', model_id='flights', number=42, shares=[0.5], at=None)"))
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "incident_opened",
        "level": "info",
        "service": "example",
        "model_id": "flights",
        "number": 42,
        "shares": [0.5],
        "at": None,
    }


def test_what_json_does_not_know_is_written_as_text() -> None:
    [line] = lines(said("import pathlib; log.info('seen', path=pathlib.Path('/a'), counts={1: object})"))
    assert line["path"] == "/a"
    assert line["counts"] == {"1": "<class 'object'>"}


def test_a_text_with_line_ends_stays_one_line() -> None:
    assert len(said("log.info('seen', text='one\\ntwo')").splitlines()) == 1


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_locals(form: str) -> None:
    text = said(
        "def connect():\n"
        "    password = 'hun' + 'ter2'\n"
        "    raise ValueError('no such server')\n"
        "try:\n"
        "    connect()\n"
        "except ValueError as err:\n"
        "    log.error('failed', exc_info=err)\n",
        form=form,
    )
    assert "no such server" in text
    assert "connect" in text
    assert "hunter2" not in text
    if form == "json":
        [line] = lines(text)
        assert line["exception"][0]["exc_type"] == "ValueError"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_secret_in_the_settings_is_not_written(form: str) -> None:
    text = said(
        "from sentryml_common.settings import PostgresSettings, ServiceSettings\n"
        "class Settings(ServiceSettings, PostgresSettings): ...\n"
        "settings = Settings(postgres_url='postgresql://me:hunter2@db/x', kafka_password='hunter2')\n"
        "log.info('service_starting', **settings.model_dump(mode='json'))\n"
        "log.info('as_object', settings=settings)\n",
        form=form,
    )
    assert "postgres_url" in text
    assert "hunter2" not in text


def test_libraries_speak_through_the_same_chain_from_warnings_on() -> None:
    found = lines(
        said(
            "logging.getLogger('httpx').info('POST https://hooks/secret')\n"
            "logging.getLogger('httpx').warning('slow: %s', 'server')\n"
            "logging.getLogger('aiokafka.conn').error('connect failed')\n",
            level="debug",
        )
    )
    assert [(line["event"], line["level"], line["service"]) for line in found] == [
        ("slow: server", "warning", "example")
    ]


@pytest.mark.parametrize(
    ("level", "events"),
    [("debug", ["d", "i", "w", "e"]), ("info", ["i", "w", "e"]), ("warning", ["w", "e"]), ("error", ["e"])],
)
def test_the_level_in_the_settings_holds_for_our_own(level: str, events: list[str]) -> None:
    text = said("log.debug('d'); log.info('i'); log.warning('w'); log.error('e')", level=level)
    assert [line["event"] for line in lines(text)] == events


def test_a_pipe_gets_json_unless_set_otherwise() -> None:
    assert lines(said("log.info('seen')", form="auto"))[0]["event"] == "seen"
    assert not said("log.info('seen')", form="console").startswith("{")


@pytest.mark.parametrize("form", ["json", "console"])
def test_whatever_is_logged_no_api_key_leaves(form: str) -> None:
    """Ours or a library's, in the event, in a fact, or in the text of an exception."""
    text = said(
        "from sentryml_common.contracts.api_key import form_key\n"
        "key = form_key('k7m2p9q4r1s8', 's' * 43)\n"
        "log.info('seen ' + key, path='/v1/events?key=' + key, headers=[{'authorization': 'Bearer ' + key}])\n"
        "logging.getLogger('library').warning('refused %s', key)\n"
        "try:\n"
        "    raise ValueError('no such key: ' + key)\n"
        "except ValueError as err:\n"
        "    log.error('failed', exc_info=err)\n",
        form=form,
    )
    assert text.count("sml_k7m2p9q4r1s8_…") >= 5
    assert "s" * 43 not in text
