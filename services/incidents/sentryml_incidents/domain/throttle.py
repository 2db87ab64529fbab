"""How long somebody who keeps failing to sign in has to wait.

What others do must not keep the owner of an account out. So attempts are counted for each account and network
together, and a browser in which the owner has signed in before (it has a cookie that says so) is counted alone. What
is counted over all networks slows down guessing from many of them; it is short, and spares browsers and networks that
are known.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final


@dataclass(frozen=True, slots=True)
class Limit:
    """From `free` attempts within `memory` on, each costs a wait, which doubles from `shortest` to `longest`."""

    free: int
    memory: timedelta
    shortest: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(minutes=15)


BY_BROWSER: Final = Limit(free=5, memory=timedelta(days=1))
"""One known browser on its account."""
BY_ACCOUNT_AND_NETWORK: Final = Limit(free=5, memory=timedelta(days=1))
BY_NETWORK: Final = Limit(free=30, memory=timedelta(hours=1))
"""One network on all accounts; it forgives more, since an office may share one."""
BY_ACCOUNT: Final = Limit(
    free=100, memory=timedelta(days=1), shortest=timedelta(seconds=10), longest=timedelta(minutes=1)
)
"""One account, from all networks in which its owner has not signed in yet."""
LIMITS: Final = (BY_BROWSER, BY_ACCOUNT_AND_NETWORK, BY_NETWORK, BY_ACCOUNT)
ATTEMPTS_KEPT_FOR: Final = max(limit.memory for limit in LIMITS)
KNOWN_FOR: Final = timedelta(days=180)
"""How long a browser is known after its last sign-in."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts within a limit's memory that did not lead in: how many, and the last."""

    count: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who tries: on which account, from which network, in which browser (None if it has no cookie of ours)."""

    account_hash: str
    network: str
    browser_hash: str | None = None


def wait_of(limit: Limit, attempts: Attempts, now: datetime) -> timedelta:
    """How long to wait before the next attempt; zero if it may be made now."""
    if attempts.last_at is None or attempts.count < limit.free:
        return timedelta(0)
    doublings = min(attempts.count - limit.free, 20)
    wait = min(limit.shortest * (1 << doublings), limit.longest)
    return max(attempts.last_at + wait - now, timedelta(0))


def account_hash(email: str) -> str:
    """What an account is called among the attempts: people type passwords into the wrong field, and others' names."""
    return hashlib.sha256(email.lower().encode(errors="replace")).hexdigest()


def network_of(address: str) -> str:
    """What counts as one network: of IPv4 the /24, of IPv6 the /64 that a customer gets."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ip_network((int(parsed) >> 64 << 64, 64)))
        parsed = parsed.ipv4_mapped
    return str(ip_network((int(parsed) >> 8 << 8, 24)))
