"""How long who keeps failing to sign in has to wait: by account, and by the address it comes from.

An account forgives a few typos, then doubles the wait with every failure. An address forgives more, since an office
may share one. The longest wait is short enough that nobody can shut others out for long.
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


BY_ACCOUNT: Final = Limit(free=5, memory=timedelta(days=1))
BY_ADDRESS: Final = Limit(free=30, memory=timedelta(hours=1))
KEPT_FOR: Final = max(BY_ACCOUNT.memory, BY_ADDRESS.memory)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts within a limit's memory that did not lead in: how many, and the last."""

    count: int
    last_at: datetime | None


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
    """What counts as one address: of IPv6 the /64 that a customer gets."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
