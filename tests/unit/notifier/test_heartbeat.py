"""When a notifier gives a sign of life, and which addresses it may give it to."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sentryml_common.errors import ConfigurationError
from sentryml_notifier.domain.system_alerts.heartbeat import Observed, why_withheld
from sentryml_notifier.system_alerts.heartbeat import read_address
from tests.unit.notifier.builders import NIGHT
from tests.unit.notifier.test_settings import settings

WELL = Observed({}, NIGHT, 0.3, NIGHT, None, all_broken=False)
AT = NIGHT + timedelta(seconds=59)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"waiting_for": {"transitions": "reading failed"}}, "transitions: reading failed"),
        ({"kafka_answered_at": None}, "Kafka does not answer"),
        ({"kafka_answered_at": NIGHT - timedelta(seconds=1)}, "Kafka does not answer"),
        ({"consumer_idle_seconds": math.inf}, "transitions are not taken in"),
        ({"consumer_idle_seconds": 60.0}, "transitions are not taken in"),
        ({"audited_at": None}, "deliveries cannot be audited"),
        ({"audited_at": NIGHT - timedelta(seconds=1)}, "deliveries cannot be audited"),
        ({"found": "alert_lost"}, "has found a fault: alert_lost"),
        ({"all_broken": True}, "no channel works"),
    ],
)
def test_nothing_is_said_while_alerts_may_not_arrive(fault: dict[str, Any], why: str) -> None:
    assert why_withheld(WELL, AT) is None
    assert why in (why_withheld(replace(WELL, **fault), AT) or "")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://hc.example/ping/1", "must begin with https://. To send there on purpose, allow it"),
        ("https://127.0.0.1/ping", "resolves to an address that is not public"),
        ("https://hc.example:8443/ping", "leads to port 8443"),
        ("https://user:secret@hc.example/ping", "must not hold a user name"),
        ("ping", "must begin with https:// and the name of a host"),
        ("https://hc.example:port/", "is not a URL"),
    ],
)
def test_an_address_that_may_not_be_called_is_refused_at_the_start(address: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_address(settings(heartbeat_url=address))
    assert why in str(refused.value)
    assert str(refused.value).startswith("SENTRYML_HEARTBEAT_URL ")
    assert "secret" not in str(refused.value)


def test_an_address_is_called_that_is_public_or_allowed() -> None:
    assert read_address(settings()) is read_address(settings(heartbeat_url=" ")) is None
    assert str(read_address(settings(heartbeat_url="https://hc.example/1"))) == "https://hc.example/1"
    allowed = settings(heartbeat_url="http://10.0.0.7:3001/api/push/1", allowed_hosts="10.0.0.7:3001")
    assert str(read_address(allowed)) == "http://10.0.0.7:3001/api/push/1"
