"""What Slack sends when a button is pressed, read; anything else is no press, and no error."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.internal.incident_action import IncidentAction
from sentryml_notifier.domain.slack_interaction import Press, button_value, read_press

INCIDENT = UUID(int=42)
PAYLOAD: dict[str, Any] = {
    "type": "block_actions",
    "user": {"id": "U0ADA"},
    "channel": {"id": "C0ALERTS"},
    "actions": [{"action_id": "acknowledge", "value": button_value(INCIDENT, 7)}],
}


@pytest.mark.parametrize("action", IncidentAction)
def test_a_press_is_read(action: IncidentAction) -> None:
    payload = PAYLOAD | {"actions": [PAYLOAD["actions"][0] | {"action_id": action.value}]}
    assert read_press(payload) == Press(action, INCIDENT, 7, "U0ADA", "C0ALERTS")


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "view_submission"},
        {"user": {"id": 7}},
        {"user": "U0ADA"},
        {"channel": {"id": "C0/../ALERTS"}},
        {"channel": {}},
        {"actions": None},
        {"actions": ["acknowledge"]},
        {"actions": [{"action_id": "close", "value": button_value(INCIDENT, 7)}]},
        {"actions": [{"action_id": "acknowledge"}]},
        {"actions": [{"action_id": "acknowledge", "value": f"{INCIDENT}:0"}]},
        {"actions": [{"action_id": "acknowledge", "value": f"{INCIDENT}:{10**9}"}]},
        {"actions": [{"action_id": "acknowledge", "value": f"{INCIDENT}:7 "}]},
    ],
)
def test_what_is_none_is_left(changed: dict[str, Any]) -> None:
    assert read_press(PAYLOAD | changed) is None


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["block_actions", "acknowledge"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "user", "channel", "actions", "id", "value", "action_id"]), inner)
    ),
    max_leaves=20,
)


@given(json)
def test_nothing_that_slack_could_send_is_an_error(payload: object) -> None:
    assert read_press(payload) is None or isinstance(payload, dict)
