"""Whether a form was sent from one of our own pages: by what the browser says of it (ADR 27)."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request

from sentryml_common.http.problems import Problem
from sentryml_common.logging import get_logger
from sentryml_common.text import cut

log = get_logger(__name__)

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
MANY: Final = frozenset({"kinds", "picked", "scopes", "shown", "signals"})
"""Fields that may come several times: boxes of which any number is ticked."""
LONGEST_NAME: Final = 64
FROM_ELSEWHERE: Final = "This form was not sent from a page of SentryML at {}: open it under that address."
FROM_NOWHERE: Final = (
    "This form came with neither Sec-Fetch-Site nor Origin, so it is not known which site sent it. Use a current "
    "browser; proxies have to pass both headers on."
)


def sent_from_here(sec_fetch_site: str | None, origin: str | None, public_url: str) -> bool:
    """Whether a browser sent a form from a page of ours. `Sec-Fetch-Site` comes on https and on this machine, and
    decides where it comes; `Origin` comes everywhere. No script can set either."""
    if sec_fetch_site is not None:
        return sec_fetch_site == "same-origin"
    return origin == origin_of(public_url)


def origin_of(url: str) -> str:
    """The origin of an address, as browsers write it: without a path, without the scheme's own port."""
    parts = urlsplit(url)
    own = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in {None, own} else "")


def is_unencrypted(public_url: str, host: str) -> bool:
    """Whether what a browser sends can be read on its way: over http, to anywhere but this machine. `host` is what the
    browser asked for; a proxy that speaks TLS is known by the public address alone."""
    return public_url.startswith("http:") and not all(map(_is_this_machine, (public_url, f"http://{host}")))


def _is_this_machine(url: str) -> bool:
    try:
        name = urlsplit(url).hostname or ""
    except ValueError:  # what browsers send is an address; others may send anything
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


async def check_form(request: Request, public_url: str) -> None:
    """Refuse a form that another site sent, and one that says two things: of two fields with one name, one would be
    taken silently.

    Raises:
        Problem: 403; 422, naming the field.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if not sent_from_here(site, origin, public_url):
        log.warning("form_refused", path=request.url.path, sec_fetch_site=site, origin=origin)
        raise Problem(
            403, "foreign-form", FROM_NOWHERE if site is origin is None else FROM_ELSEWHERE.format(public_url)
        )
    times = Counter(name for name, _ in (await request.form()).multi_items())
    twice = next((name for name, count in times.items() if count > 1 and name not in MANY), None)
    if twice is not None:
        raise Problem(422, "invalid-request", f"{cut(twice, LONGEST_NAME)}: is given twice: send it once.")
