"""When sessions end, and what is known of them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_incidents.domain.sessions import (
    SECRET_BYTES,
    USER_AGENT_LENGTH_MAX,
    hash_secret,
    is_secret,
    make_secret,
    new_session,
)
from tests.unit.incidents.builders import MONDAY

SESSION = new_session("s" * 43, UUID(int=1), "198.51.100.7", "Firefox", MONDAY)
HOURS, DAYS, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)


@pytest.mark.parametrize(
    ("last_seen", "now", "alive"),
    [
        (0 * HOURS, 0 * HOURS, True),
        (0 * HOURS, 12 * HOURS - SECOND, True),
        (0 * HOURS, 12 * HOURS, False),
        (11 * HOURS, 22 * HOURS, True),
        (7 * DAYS - HOURS, 7 * DAYS - SECOND, True),
        (7 * DAYS - HOURS, 7 * DAYS, False),
    ],
)
def test_a_session_ends_idle_and_in_any_case(last_seen: timedelta, now: timedelta, alive: bool) -> None:
    session = new_session("s" * 43, UUID(int=1), "", "", MONDAY)
    session = type(session)(
        session.session_hash, session.user_id, MONDAY, MONDAY + last_seen, session.expires_at, "", ""
    )
    assert session.alive(MONDAY + now) is alive


@pytest.mark.parametrize(("seconds", "marked"), [(0, False), (59, False), (60, True), (3600, True)])
def test_use_is_written_down_once_a_minute(seconds: int, marked: bool) -> None:
    assert SESSION.to_be_marked(MONDAY + seconds * SECOND) is marked


@given(st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES))
def test_a_secret_is_recognised_and_not_kept(randomness: bytes) -> None:
    secret = make_secret(randomness)
    assert is_secret(secret)
    session = new_session(secret, UUID(int=1), "", "", MONDAY)
    assert secret not in repr(session)
    assert session.session_hash == hash_secret(secret)


@pytest.mark.parametrize("text", ["", "s" * 42, "s" * 44, "s" * 42 + "\n", "s" * 42 + "ß", "s" * 42 + "="])
def test_what_is_no_secret_is_not_looked_up(text: str) -> None:
    assert not is_secret(text)


def test_a_long_user_agent_is_cut() -> None:
    assert len(new_session("s" * 43, UUID(int=1), "", "x" * 9999, MONDAY).user_agent) == USER_AGENT_LENGTH_MAX
