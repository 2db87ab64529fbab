"""CloudEvents of KServe's inference logger, as documents: their attributes, and what the model server said in `data`.

Request and response of a prediction are two events with one id. The prediction is in the response; all else is dropped.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

from sentryml_tap.domain.paths import FieldMapping, parse_mapping
from sentryml_tap.domain.reading import Reason, Unusable, loads

RESPONSE = "org.kubeflow.serving.inference.response"
STRUCTURED = "application/cloudevents+json"
HEADER = "ce-"
IDENTITY = ("type", "source", "id", "namespace", "inferenceservicename", "component", "endpoint")
"""The source of all of KServe's events is the same, so more than `source` and `id` says which one it is."""
OF_JSON = ("metadata", "annotations")
"""Attributes that KServe writes as JSON in text: headers of the request, annotations of the service."""

_BOTH = {"model_id": "/inferenceservicename", "timestamp": "/time"}
V1 = parse_mapping({**_BOTH, "prediction": "/data/predictions/*"}.items())
V2 = parse_mapping({**_BOTH, "prediction": "/data/outputs/0/data/*", "version": "/data/model_version"}.items())


def type_of(headers: Mapping[str, str]) -> str | None:
    """The type of an event, where its headers say it (binary mode)."""
    return headers.get(HEADER + "type")


def event_of(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The event of a request, with its attributes and `data`: what structured mode sends.

    Raises:
        Unusable: it is no CloudEvent, or not of JSON.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() == STRUCTURED:
        event = loads(body)
        if isinstance(event, dict) and "data_base64" in event:
            event["data"] = loads(_decoded(event.pop("data_base64")))
    else:
        event = {name.removeprefix(HEADER): unquote(text) for name, text in headers.items() if name.startswith(HEADER)}
        event["data"] = loads(body) if event.get("type") == RESPONSE else None
    if not isinstance(event, dict) or not all(isinstance(event.get(name), str) for name in ("type", "source", "id")):
        raise Unusable(Reason.NOT_CLOUDEVENT, "is no CloudEvent: it needs type, source and id")
    return event


def _decoded(text: Any) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise Unusable(Reason.NOT_JSON, "data_base64 is not Base64") from None


def document_of(event: dict[str, Any]) -> dict[str, Any]:
    """The event as paths see it: attributes that hold JSON are read, tensors of two dimensions or more have rows."""
    found = {name: _read_attribute(value) if name in OF_JSON else value for name, value in event.items()}
    data = found.get("data")
    if isinstance(data, dict) and isinstance(data.get("outputs"), list):
        found["data"] = {**data, "outputs": [_with_rows(output) for output in data["outputs"]]}
    return found


def mapping_for(document: dict[str, Any], given: tuple[tuple[str, str], ...]) -> FieldMapping:
    """Where the fields are: as it is given, else as the protocol of the answer has it.

    Raises:
        BadMapping: what is given cannot be used.
    """
    data = document.get("data")
    return parse_mapping(given, V2 if isinstance(data, dict) and "outputs" in data else V1)


def identity_of(event: dict[str, Any]) -> str:
    """The same for an event that is sent twice, and no other."""
    found = (event.get(name) for name in IDENTITY)
    return sha256(json.dumps([each if isinstance(each, str) else None for each in found]).encode()).hexdigest()


def _read_attribute(value: Any) -> Any:
    try:
        return loads(value.encode()) if isinstance(value, str) else value
    except (Unusable, ValueError):
        return value


def _with_rows(output: Any) -> Any:
    """The protocol allows the values of a tensor in one list, row after row."""
    if not isinstance(output, dict):
        return output
    shape, values = output.get("shape"), output.get("data")
    if not isinstance(shape, list) or len(shape) < 2 or not isinstance(values, list):
        return output
    rows = shape[0]
    if not isinstance(rows, int) or not 0 < rows < len(values) or len(values) % rows:
        return output
    if any(isinstance(value, list) for value in values):
        return output
    width = len(values) // rows
    return {**output, "data": [values[at : at + width] for at in range(0, len(values), width)]}
