"""The examples of the API's answers are answers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from sentryml_common.contracts.internal.notifier_api import (
    AuditResponse,
    ChangeResponse,
    ChannelKindResponse,
    ChannelResponse,
    DeliveryResponse,
    PreviewResponse,
    RouteResponse,
    TrialResponse,
)
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.http import (
    audits,
    changes,
    channel_config,
    channel_kinds,
    channel_tests,
    channels,
    deliveries,
    previews,
)
from sentryml_notifier.http.routes import spec as routes

PREVIEWED: Any = previews.PreviewView.model_validate(previews.EXAMPLE).model_dump(mode="json")["routes"][0]
VIEWS = [
    (routes.RouteView, routes.EXAMPLE),
    (previews.PreviewView, previews.EXAMPLE),
    (channels.ChannelView, channels.EXAMPLE),
    (channel_kinds.ChannelKindView, channel_kinds.EXAMPLE),
    (channel_tests.TrialView, channel_tests.EXAMPLE),
    (deliveries.DeliveryView, deliveries.EXAMPLE),
    (changes.ChangeView, changes.EXAMPLE),
    (audits.AuditView, audits.EXAMPLE),
]


@pytest.mark.parametrize(("view", "example"), VIEWS)
def test_example_is_what_the_view_would_send(view: type[BaseModel], example: dict[str, Any]) -> None:
    assert view.model_validate(example).model_dump(mode="json") == example
    assert view.model_json_schema()["examples"] == [example]


CONTRACTS = [
    (RouteResponse, routes.EXAMPLE, "kinds", ["thawed"]),
    (ChannelResponse, channels.EXAMPLE, "state", "resting"),
    (ChannelKindResponse, channel_kinds.EXAMPLE, "name", "pigeon"),
    (DeliveryResponse, deliveries.EXAMPLE, "parked_because", "too_heavy"),
    (ChangeResponse, changes.EXAMPLE, "action", "channel_painted"),
    (AuditResponse, audits.EXAMPLE, "findings", [{"fault": "melted", "channel": None, "text": "It melted."}]),
    (TrialResponse, channel_tests.EXAMPLE, "outcome", "half_delivered"),
    (PreviewResponse, previews.EXAMPLE, "routes", [{**PREVIEWED, "why": "friday"}]),
]


@pytest.mark.parametrize(("contract", "example", "field", "code"), CONTRACTS)
def test_clients_read_every_answer_also_with_codes_and_fields_of_a_later_notifier(
    contract: type[BaseModel], example: dict[str, Any], field: str, code: object
) -> None:
    assert contract.model_validate(example).model_dump(mode="json") == example
    later = contract.model_validate({**example, field: code, "a_field_of_next_year": 1})
    assert later.model_dump(mode="json") == {**example, field: code}


def test_example_of_a_new_channel_is_one() -> None:
    found = channel_config.read_new(channel_config.EXAMPLE, {})
    assert (found.kind, found.settings) == ("slack_webhook", {})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_described_and_no_reference_leads_nowhere(kind: str) -> None:
    schemas = channel_config.schemas()
    assert kind in [each["properties"]["kind"]["const"] for each in schemas["NewChannel"]["oneOf"]]
    references = {part.partition("'")[0] for part in str(schemas).split("#/components/schemas/")[1:]}
    assert references <= set(schemas)
