"""Which addresses messages may go to: the public internet, and what the operator has named as `host:port`.

An address that a user enters must not become a way into the notifier's internal networks (SSRF): not by an address
itself, in whatever form, and not by a name that leads there. So this is asked twice: of what was entered, and of every
address that a name leads to at the moment of use.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

HOSTS_SETTING = "SENTRYML_ALLOWED_HOSTS"

Address = IPv4Address | IPv6Address

# What ipaddress calls global, or calls so in some versions of Python, and is not for us.
NOT_PUBLIC_V4 = tuple(
    map(
        ip_network,
        (
            "192.0.0.0/24",  # protocol assignments; a cloud's metadata are at 192.0.0.192
            "192.88.99.0/24",  # relays of 6to4
            "168.63.129.16/32",  # the host's own services in a cloud
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved
        ),
    )
)
PUBLIC_V6 = IPv6Network("2000::/3")
NOT_PUBLIC_V6 = tuple(
    map(
        ip_network,
        (
            "2001::/23",  # protocol assignments, among them Teredo, which wraps IPv4
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which wraps IPv4
            "3fff::/20",  # documentation
        ),
    )
)
NAT64 = IPv6Network("64:ff9b::/96")

# A name cannot end in a number (the rule of browsers): such a host is an IPv4 address in one of its odd forms.
ENDS_IN_A_NUMBER = re.compile(r"(^|\.)(\d+|0x[0-9a-f]*)\.?$", re.IGNORECASE)
HOST_NAME = re.compile(r"[a-z0-9._-]{1,253}", re.IGNORECASE)
ALLOWED_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/@\[\]]+):(\d{1,5})", re.IGNORECASE)


def authority_of(host: str, port: int) -> str:
    """`host:port` as the setting names it."""
    return f"[{host}]:{port}".lower() if ":" in host else f"{host}:{port}".lower()


def read_allowed_hosts(text: str) -> frozenset[str]:
    """The setting's list.

    Raises:
        ValueError: one is not `host:port`; says which.
    """
    found = [each.strip().lower() for each in text.split(",") if each.strip()]
    for each in found:
        match = ALLOWED_HOST.fullmatch(each)
        if match is None or not 0 < int(match[2]) < 65_536:
            raise ValueError(f"{each} is not host:port, for example hooks.example.com:443")
    return frozenset(found)


def is_public(address: str) -> bool:
    """Whether an IP address in its usual form belongs to the public internet, whatever it is wrapped in."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        return found.is_global and not any(found in network for network in NOT_PUBLIC_V4)
    if found.scope_id is not None:
        return False
    if found.ipv4_mapped is not None:
        return is_public(str(found.ipv4_mapped))
    if found in NAT64:
        return is_public(str(IPv4Address(int(found) & 0xFFFF_FFFF)))
    return found in PUBLIC_V6 and found.is_global and not any(found in network for network in NOT_PUBLIC_V6)


def why_not(host: str, port: int, usual_ports: Collection[int], allowed_hosts: Collection[str]) -> str | None:
    """Why a host that somebody has entered may not be sent to, and what would allow it; None if it may.

    Of a name this says nothing for good: where it leads to is checked whenever it is used.
    """
    authority = authority_of(host, port)
    if authority in allowed_hosts:
        return None
    if port not in usual_ports:
        ports = " or ".join(map(str, sorted(usual_ports)))
        return f"leads to port {port}, not {ports}. {to_allow(authority)}"
    try:
        ip_address(host)
    except ValueError:
        if ENDS_IN_A_NUMBER.search(host):
            return "holds an IP address in an unusual form: write the host's name"
        return None if HOST_NAME.fullmatch(host) else "holds no name of a host"
    return None if is_public(host) else f"resolves to an address that is not public. {to_allow(authority)}"


def to_allow(authority: str) -> str:
    """What the operator has to do to allow it."""
    return f"To send there on purpose, allow it: {HOSTS_SETTING}={authority}"
