"""Settings of incidents that cannot work are refused at start, with what would."""

from __future__ import annotations

import pytest

from sentryml_common.errors import ConfigurationError
from sentryml_common.settings import load_settings
from sentryml_incidents.settings import IncidentsSettings


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8701",
        "https://drift.example.org",
        "https://example.org/sentryml",
        "https://[::1]:8443/a/b.c-d~e",
    ],
)
def test_an_address_may_have_a_path(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SENTRYML_PUBLIC_URL", url)
    assert load_settings(IncidentsSettings).public_url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/", "https://example.org/sentryml/", "https://example.org/sentryml?x=1", "example.org",
        "https://example.org/#top", "https://ana:pw@example.org", "https://example.org//sentryml", "ftp://example.org",
        "https://example.org/a b", "https:///sentryml", "",
    ],
)  # fmt: skip
def test_an_address_that_cannot_work_is_refused_with_what_would(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SENTRYML_PUBLIC_URL", url)
    with pytest.raises(ConfigurationError, match=r"SENTRYML_PUBLIC_URL: .*like https://drift\.example\.org or https"):
        load_settings(IncidentsSettings)


@pytest.mark.parametrize("name", ["SENTRYML_NOTIFIER_URL", "SENTRYML_PROCESSOR_URLS"])
def test_services_ask_each_other_without_a_path(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "https://example.org/sentryml")
    with pytest.raises(ConfigurationError, match=name):
        load_settings(IncidentsSettings)
