"""What OpenAPI shows as examples is what the API really answers."""

from __future__ import annotations

from sentryml_incidents.api.previews.preview_view import PREVIEW_EXAMPLE, PreviewView
from sentryml_incidents.api.views import INCIDENT_EXAMPLE, MODEL_EXAMPLE, IncidentView, ModelView


def test_examples_are_whole_answers() -> None:
    for view, example in ((IncidentView, INCIDENT_EXAMPLE), (ModelView, MODEL_EXAMPLE), (PreviewView, PREVIEW_EXAMPLE)):
        assert view.model_validate(example).model_dump(mode="json", by_alias=True) == example
