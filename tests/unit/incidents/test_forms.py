"""Which forms are taken: those that browsers send from our own pages. And where one may go after the sign-in."""

from __future__ import annotations

import pytest

from sentryml_incidents.web.forms import is_unencrypted, origin_of, sent_from_here
from sentryml_incidents.web.people.session import HOME, cookie_name, safe_next

OURS = "https://drift.example.org/sentryml"


@pytest.mark.parametrize(
    ("site", "origin", "taken"),
    [
        ("same-origin", None, True),
        ("same-origin", "https://drift.example.org", True),
        ("none", None, False),
        ("none", "https://drift.example.org", False),
        ("same-site", None, False),
        ("cross-site", None, False),
        ("cross-site", "https://drift.example.org", False),
        ("", None, False),
        (None, "https://drift.example.org", True),
        (None, "http://drift.example.org", False),
        (None, "https://drift.example.org:8443", False),
        (None, "https://drift.example.org.evil.example", False),
        (None, "https://evil.example", False),
        (None, "null", False),
        (None, "", False),
        (None, None, False),
    ],
)
def test_a_form_of_another_site_is_refused(site: str | None, origin: str | None, taken: bool) -> None:
    assert sent_from_here(site, origin, OURS) is taken


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Drift.Example.org/a/b", "https://drift.example.org"),
        ("https://h:443", "https://h"),
        ("http://h:80", "http://h"),
        ("http://h:443", "http://h:443"),
        ("http://127.0.0.1:8701", "http://127.0.0.1:8701"),
        ("http://[::1]:8701/x", "http://[::1]:8701"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "page", ["/incidents", "/incidents/3", "/incidents?state=open&before=7", "/users/1-2", "/account"]
)
def test_a_page_of_ours_is_gone_back_to(page: str) -> None:
    assert safe_next(page) == page


@pytest.mark.parametrize(
    "elsewhere",
    [
        "", "/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example",
        "http:evil.example", "javascript:alert(1)", "data:text/html,x", "incidents", "@evil.example",
        "/incidents//evil", "/incidents\r\nSet-Cookie: a=b", "/incidents\n", "/incidents/\x00", "/incidents#x",
        "/incidents/3 4", "/\tevil", "/incidents?x=https://evil.example\\", "/ıncidents",
    ],
)  # fmt: skip
def test_anything_else_leads_home(elsewhere: str) -> None:
    assert safe_next(elsewhere) == HOME


@pytest.mark.parametrize(
    ("public_url", "name"),
    [
        ("https://drift.example.org", "__Host-sentryml-session"),
        ("http://127.0.0.1:8701", "sentryml-session-8701"),
        ("http://drift.example.org/sentryml", "sentryml-session-80-sentryml"),
        ("https://example.org/ml/drift.eu", "__Host-sentryml-session-ml-drift-eu"),
    ],
)
def test_a_cookie_is_bound_to_the_host_where_that_is_possible(public_url: str, name: str) -> None:
    assert cookie_name(public_url) == name


@pytest.mark.parametrize(
    ("public_url", "host", "unencrypted"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", False),
        ("http://127.0.0.1:8080", "localhost:8080", False),
        ("http://localhost:8080", "[::1]:8080", False),
        ("http://sentryml.localhost", "sentryml.localhost", False),
        ("http://127.0.0.1:8080", "10.0.0.5:8080", True),
        ("http://127.0.0.1:8080", "localhost.example.org", True),
        ("http://127.0.0.1:8080", "127.0.0.1.example.org", True),
        ("http://127.0.0.1:8080", "", True),
        ("http://127.0.0.1:8080", "[::", True),
        ("http://drift.example.org", "drift.example.org", True),
        ("http://drift.example.org", "127.0.0.1:8080", True),
        ("https://drift.example.org", "drift.example.org", False),
        ("https://drift.example.org", "10.0.0.5:8080", False),
    ],
)
def test_http_to_anywhere_but_this_machine_is_unencrypted(public_url: str, host: str, unencrypted: bool) -> None:
    assert is_unencrypted(public_url, host) is unencrypted
