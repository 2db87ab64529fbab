"""Records that could not be used, in words."""

from __future__ import annotations

import re
from pathlib import Path

from sentryml_incidents.domain.system.unreadable import MEANINGS, Unreadable, in_short
from tests.unit.incidents.builders import at

ROOT = Path(__file__).parents[3]


def some(reason: str, recently: int, sender: str = "") -> Unreadable:
    return Unreadable("sentryml.predictions.v1", reason, sender, recently, recently, recently, at(0), 2, 17, "detail")


def said(*found: Unreadable) -> str | None:
    return in_short(found, at(-15))


def test_the_most_frequent_reason_is_said_over_all_senders() -> None:
    since = "since 09:00 UTC could not be read"
    assert said(some("schema_registry_prefix", 1200)) == (
        f"1,200 records {since}: all of them begin with a schema-registry prefix."
    )
    assert said(some("not_json", 5), some("invalid_events", 3, "a"), some("invalid_events", 4, "b")) == (
        f"12 records {since}: 7 of them hold events that are not valid."
    )
    assert said(some("empty", 1)) == f"A record {since}: it has no value."
    assert said(some("new_reason", 2)) == f"2 records {since}: all of them cannot be decoded."


def test_nothing_is_said_of_what_is_over() -> None:
    assert said() is None
    assert said(some("not_json", 0)) is None


def test_every_reason_of_the_combiner_has_its_words() -> None:
    """The reasons that senders of events can cause."""
    sources = (
        "libs/common/sentryml_common/contracts/prediction.py", "services/drift/sentryml_drift/domain/unreadable.py",
        "services/drift/sentryml_drift/combiner/loop.py", "libs/common/sentryml_common/contracts/message.py",
    )  # fmt: skip
    reasons = {
        reason
        for source in sources
        for reason in re.findall(r'UndecodableMessage\(\s*"(\w+)"', (ROOT / source).read_text())
    }
    assert reasons == MEANINGS.keys()
