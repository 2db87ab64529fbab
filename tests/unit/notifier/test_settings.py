"""Settings that cannot work are refused at the start, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sentryml_common.errors import ConfigurationError
from sentryml_notifier.app import read_tls
from sentryml_notifier.settings import NotifierSettings
from tests.support.certificates import make_certificate


def settings(**given: Any) -> NotifierSettings:
    return NotifierSettings.model_validate({"postgres_url": "postgresql://localhost/x", **given})


def test_lists_of_hosts_and_schemas() -> None:
    given = settings(allowed_hosts="A.example:80, b.example:443,", apprise_schemas="ntfys://, TGRAM")
    assert given.all_allowed_hosts == {"a.example:80", "b.example:443"}
    assert given.all_apprise_schemas == {"ntfys", "tgram"}
    assert settings().all_allowed_hosts == settings().all_apprise_schemas == frozenset()


def test_host_without_its_port_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"b\.example is not host:port, for example hooks\.example\.com:443"):
        settings(allowed_hosts="a.example:80,b.example")


def test_file_of_certificates(tmp_path: Path) -> None:
    ca_file, _ = make_certificate(tmp_path, "hooks.example")
    usual = len(read_tls(settings()).get_ca_certs())
    assert len(read_tls(settings(ca_file=str(ca_file))).get_ca_certs()) == usual + 1
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for wrong in (tmp_path / "none.pem", tmp_path, empty):
        with pytest.raises(ConfigurationError, match=f"SENTRYML_CA_FILE: {wrong}"):
            read_tls(settings(ca_file=str(wrong)))


@pytest.mark.parametrize("host", ["incidents:8701", "127.0.0.1", "[::1]:8701", "incidents.example.org:80"])
def test_the_address_of_incidents_is_a_host_and_a_port(host: str) -> None:
    assert settings(incidents_url=f"https://{host}/").incidents_url == f"https://{host}/"


@pytest.mark.parametrize("host", ["incidents:8701x", "incidents:", "[::1", "::1", "a@b", "a,b", ""])
def test_another_address_of_incidents_is_refused(host: str) -> None:
    with pytest.raises(ValidationError, match="incidents_url"):
        settings(incidents_url=f"http://{host}")
