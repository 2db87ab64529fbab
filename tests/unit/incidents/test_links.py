"""Links that only the machine of SentryML itself can open are warned of."""

from __future__ import annotations

import pytest

from sentryml_incidents.domain.system.links import link_warning


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080", "http://127.1.2.3/sentryml", "http://localhost:8701", "https://drift.localhost",
        "http://[::1]:8701", "http://0.0.0.0:8701", "http://LOCALHOST",
    ],
)  # fmt: skip
def test_addresses_of_this_machine_lead_nowhere_for_others(url: str) -> None:
    warning = link_warning(url)
    assert warning is not None
    assert f"Links in messages begin with {url}, which" in warning
    assert "set SENTRYML_PUBLIC_URL" in warning


@pytest.mark.parametrize(
    "url",
    ["https://drift.example.org", "http://10.0.0.5:8701", "http://sentryml:8080", "https://[2001:db8::1]/x",
     "https://127.example.org", "https://localhost.example.org"],
)  # fmt: skip
def test_other_addresses_may_lead_somewhere(url: str) -> None:
    assert link_warning(url) is None
