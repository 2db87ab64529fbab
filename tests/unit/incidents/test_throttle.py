"""How long who fails to sign in has to wait."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sentryml_incidents.domain.throttle import BY_ACCOUNT, BY_ADDRESS, Attempts, account_hash, network_of, wait_of
from tests.unit.incidents.builders import MONDAY


@pytest.mark.parametrize(
    ("count", "seconds"),
    [(0, 0), (4, 0), (5, 30), (6, 60), (7, 120), (8, 240), (9, 480), (10, 900), (11, 900), (10**6, 900)],
)
def test_an_account_forgives_four_and_then_doubles_the_wait(count: int, seconds: int) -> None:
    assert wait_of(BY_ACCOUNT, Attempts(count, MONDAY), MONDAY) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("count", "seconds"), [(29, 0), (30, 30), (31, 60), (99, 900)])
def test_an_address_forgives_more(count: int, seconds: int) -> None:
    assert wait_of(BY_ADDRESS, Attempts(count, MONDAY), MONDAY) == timedelta(seconds=seconds)


def test_the_wait_counts_from_the_last_attempt() -> None:
    attempts = Attempts(5, MONDAY)
    assert wait_of(BY_ACCOUNT, attempts, MONDAY + timedelta(seconds=29)) == timedelta(seconds=1)
    assert wait_of(BY_ACCOUNT, attempts, MONDAY + timedelta(seconds=30)) == timedelta(0)
    assert wait_of(BY_ACCOUNT, Attempts(0, None), MONDAY) == timedelta(0)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_an_address_is_what_a_customer_gets(address: str, network: str) -> None:
    assert network_of(address) == network


def test_an_account_is_the_same_however_it_is_written_and_is_not_kept() -> None:
    assert account_hash("Ana@Example.org") == account_hash("ana@example.org")
    assert "ana" not in account_hash("ana")
