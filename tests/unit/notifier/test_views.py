"""The examples of the API's answers are answers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.http import changes, channel_config, channels, deliveries, previews, routes, trials

VIEWS = [
    (routes.RouteView, routes.EXAMPLE),
    (previews.PreviewView, previews.EXAMPLE),
    (channels.ChannelView, channels.EXAMPLE),
    (trials.TrialView, trials.EXAMPLE),
    (deliveries.DeliveryView, deliveries.EXAMPLE),
    (changes.ChangeView, changes.EXAMPLE),
]


@pytest.mark.parametrize(("view", "example"), VIEWS)
def test_example_is_what_the_view_would_send(view: type[BaseModel], example: dict[str, Any]) -> None:
    assert view.model_validate(example).model_dump(mode="json") == example
    assert view.model_json_schema()["examples"] == [example]


def test_example_of_a_new_channel_is_one() -> None:
    found = channel_config.read_new(channel_config.EXAMPLE, {})
    assert (found.kind, found.settings) == ("slack_webhook", {})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_described_and_no_reference_leads_nowhere(kind: str) -> None:
    schemas = channel_config.schemas()
    assert kind in [each["properties"]["kind"]["const"] for each in schemas["NewChannel"]["oneOf"]]
    references = {part.partition("'")[0] for part in str(schemas).split("#/components/schemas/")[1:]}
    assert references <= set(schemas)
