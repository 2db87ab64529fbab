"""Reading what the notifier answers. What is unknown is ignored: it may be newer than this."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from sentryml_incidents.clients.notifier import NotifierAway

T = TypeVar("T")


def read_answer(form: type[T], answer: object) -> T:
    """An answer in its form.

    Raises:
        NotifierAway: it has another one.
    """
    try:
        return TypeAdapter(form).validate_python(answer, strict=False)
    except ValidationError as err:
        raise NotifierAway("it answers in another version than this one knows: install the same for both") from err
