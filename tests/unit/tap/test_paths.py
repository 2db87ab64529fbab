"""The mapping of a topic, as it is configured."""

from __future__ import annotations

import json
import re
from pathlib import Path as File
from urllib.parse import parse_qsl, urlsplit

import pytest

from sentryml_common.errors import ConfigurationError
from sentryml_common.settings import load_settings
from sentryml_tap.domain.kserve import V1
from sentryml_tap.domain.paths import BadMapping, Path, parse_mapping, parse_path, parse_topics
from sentryml_tap.domain.reading import read
from sentryml_tap.settings import TapSettings


def test_topics_are_separate_and_constants_are_no_paths() -> None:
    topics = parse_topics("""
        scored.loans model_id=loans prediction=/result/label score=.result.p[1] timestamp=/at version=2.3
        clicks       model_id=/model prediction="/the answer"
    """)
    assert topics == {
        "scored.loans": {
            "model_id": "loans",
            "prediction": Path("/result/label", ("result", "label")),
            "score": Path(".result.p[1]", ("result", "p", "1")),
            "timestamp": Path("/at", ("at",)),
            "version": "2.3",
        },
        "clicks": {
            "model_id": Path("/model", ("model",)),
            "prediction": Path("/the answer", ("the answer",)),
        },
    }


def test_the_mappings_of_the_page_can_be_used() -> None:
    page = (File(__file__).parents[3] / "docs/tap.md").read_text()
    [topics] = re.findall(r"^SENTRYML_TAP_TOPICS='(.*)'$", page, re.MULTILINE)
    record, event = re.findall(r"^```json\n(.*)\n```$", page, re.MULTILINE)
    [found] = read(record.encode(), parse_topics(topics)["scored.loans"], 0.0).events
    assert json.loads(found.json) == json.loads(event)
    urls = re.findall(r"^ *url: (\S+)$", page, re.MULTILINE)
    assert len(urls) > 1
    for url in urls:
        assert parse_mapping(parse_qsl(urlsplit(url).query), V1)


@pytest.mark.parametrize(
    ("text", "steps", "each"),
    [
        ("/outputs/0/data/0", ("outputs", "0", "data", "0"), None),
        (".outputs[0].data[0]", ("outputs", "0", "data", "0"), None),
        (".outputs.0.data.*", ("outputs", "0", "data"), ()),
        ("/rows/*/p", ("rows",), ("p",)),
        (".[*].p", (), ("p",)),
        ("/a~1b/c~0d", ("a/b", "c~d"), None),
    ],
)
def test_a_path_is_a_json_pointer_or_names_with_dots(
    text: str, steps: tuple[str, ...], each: tuple[str, ...] | None
) -> None:
    assert parse_path(text) == Path(text, steps, each)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("model_id=fraud prediction=/p", "begin with the name of a topic"),
        ("a model_id=fraud", "a: needs prediction"),
        ("a prediction=/p", "a: needs model_id"),
        ("a b model_id=x prediction=/p", "a: needs model_id and prediction"),
        ("a model_id=x prediction=label", "a: prediction needs a path, which begins with / or with a dot"),
        ("a model_id=x prediction=/p score=0.5", "score needs a path"),
        ("a model_id= prediction=/p", "model_id is empty"),
        ("a model_id=$.m prediction=/p", "model_id is neither a path nor a model's id"),
        (f"a model_id=x prediction=/{'p' * 500}", "prediction may have 500 characters"),
        ("a model_id=x prediction=/p prediction=/q", "prediction is given twice"),
        ("a model_id=x prediction=/p features=/f", "a field that is mapped is one of model_id, prediction"),
        ("a model_id=x prediction=/p score=/s/*", r"score has \*, so prediction needs one too"),
        ("a model_id=x prediction=/p/*/q/*", r"a path has one \* at most"),
        ("a model_id=x prediction=/p a model_id=x prediction=/q", "a is there twice"),
        ("a model_id='x prediction=/p", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(text: str, why: str) -> None:
    with pytest.raises(BadMapping, match=why):
        parse_topics(text)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"TOPICS": "a model_id=x prediction=/p"}, "\n  set SENTRYML_TAP_API_KEY"),
        ({"API_KEY": "sml_key"}, "nothing to tap: set SENTRYML_TAP_TOPICS or SENTRYML_TAP_KSERVE"),
        ({"API_KEY": "sml_key", "TOPICS": "a"}, "\n  SENTRYML_TAP_TOPICS: a: needs model_id and prediction"),
        ({"API_KEY": "sml_key", "KSERVE": "1", "INGEST_URL": "ingest"}, "\n  SENTRYML_TAP_INGEST_URL is no address"),
    ],
)
def test_settings_that_lead_to_nothing_are_refused_at_start(
    settings: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"SENTRYML_TAP_{name}", value)
    with pytest.raises(ConfigurationError, match=why):
        load_settings(TapSettings)
