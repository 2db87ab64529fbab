"""Whether links in messages lead anywhere for others. Pure."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def link_warning(public_url: str) -> str | None:
    """What is wrong with the address that links begin with; None if others may reach it."""
    host = urlsplit(public_url).hostname or ""
    if not _is_this_machine(host):
        return None
    return (
        f"Links in messages begin with {public_url}, which leads to each reader's own machine: set SENTRYML_PUBLIC_URL "
        "to the address under which people reach these pages."
    )


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".localdomain")):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
