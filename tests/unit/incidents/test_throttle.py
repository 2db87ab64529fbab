"""How long who fails to sign in has to wait."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sentryml_incidents.domain.throttle import (
    BY_ACCOUNT,
    BY_ACCOUNT_AND_NETWORK,
    BY_BROWSER,
    BY_NETWORK,
    Attempts,
    account_hash,
    network_of,
    wait_of,
)
from tests.unit.incidents.builders import MONDAY


@pytest.mark.parametrize(
    ("count", "seconds"),
    [(0, 0), (4, 0), (5, 30), (6, 60), (7, 120), (8, 240), (9, 480), (10, 900), (11, 900), (10**6, 900)],
)
def test_four_failures_are_forgiven_and_then_the_wait_doubles(count: int, seconds: int) -> None:
    for limit in (BY_ACCOUNT_AND_NETWORK, BY_BROWSER):
        assert wait_of(limit, Attempts(count, MONDAY), MONDAY) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("count", "seconds"), [(29, 0), (30, 30), (31, 60), (99, 900)])
def test_a_network_forgives_more(count: int, seconds: int) -> None:
    assert wait_of(BY_NETWORK, Attempts(count, MONDAY), MONDAY) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("count", "seconds"), [(99, 0), (100, 10), (101, 20), (103, 60), (10**6, 60)])
def test_an_account_that_is_guessed_at_from_everywhere_waits_a_minute_at_most(count: int, seconds: int) -> None:
    assert wait_of(BY_ACCOUNT, Attempts(count, MONDAY), MONDAY) == timedelta(seconds=seconds)


def test_the_wait_counts_from_the_last_attempt() -> None:
    attempts = Attempts(5, MONDAY)
    assert wait_of(BY_BROWSER, attempts, MONDAY + timedelta(seconds=29)) == timedelta(seconds=1)
    assert wait_of(BY_BROWSER, attempts, MONDAY + timedelta(seconds=30)) == timedelta(0)
    assert wait_of(BY_BROWSER, Attempts(0, None), MONDAY) == timedelta(0)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.0/24"),
        ("::ffff:198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_a_network_is_what_a_customer_gets(address: str, network: str) -> None:
    assert network_of(address) == network


def test_an_account_is_the_same_however_it_is_written_and_is_not_kept() -> None:
    assert account_hash("Ana@Example.org") == account_hash("ana@example.org")
    assert "ana" not in account_hash("ana")
