"""Taking the good events of a request and naming the bad ones: what `Prefer: handling=lenient` (RFC 7240) asks for."""

from __future__ import annotations

from datetime import datetime

from sentryml_common.contracts.prediction import MOST_ERRORS, THE_EVENT, BadField, InvalidEvents
from sentryml_common.errors import UndecodableMessage
from sentryml_ingest.domain.admission import TimeLimits, admit
from sentryml_ingest.domain.sent_events import read_sent


class LenientReading:
    """Reads events one after the other. Good ones go on, each bad one is counted, and the first errors are kept."""

    def __init__(self, now: datetime, limits: TimeLimits) -> None:
        self._now, self._limits = now, limits
        self._good: list[bytes] = []
        self.models: set[str] = set()
        self.refused = 0
        self.errors: list[BadField] = []

    @property
    def accepted(self) -> int:
        """How many events are good."""
        return len(self._good)

    @property
    def record(self) -> bytes:
        """The good events as a JSON array."""
        return b"[" + b",".join(self._good) + b"]"

    def take(self, index: int, item: bytes) -> None:
        """Read the next event."""
        try:
            if item.lstrip()[:1] != b"{":
                raise UndecodableMessage("not_events", "must be a JSON object")
            sent = admit(read_sent(item, most_events=1), now=self._now, limits=self._limits)
        except UndecodableMessage as err:
            reason = "is not JSON" if err.reason == "not_json" else err.detail
            self._refuse([BadField(index=index, field=THE_EVENT, reason=reason)])
        except InvalidEvents as err:
            self._refuse([error.model_copy(update={"index": index}) for error in err.errors])
        else:
            self._good.append(sent.record[1:-1])
            self.models |= sent.models

    def _refuse(self, errors: list[BadField]) -> None:
        self.refused += 1
        self.errors += errors[: MOST_ERRORS - len(self.errors)]
