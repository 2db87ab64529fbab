"""What came of one action on many incidents, in words: how many it was done to, and what became of each other one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sentryml_common.contracts.transition import State
from sentryml_lifecycle.events.on_action import Action

DONE = {
    Action.ACKNOWLEDGE: "acknowledged",
    Action.UNACKNOWLEDGE: "taken back: open again",
    Action.CLOSE: "closed",
    Action.ACCEPT: "accepted as the new normal",
    Action.WAS_NORMAL: "closed: what they were about was normal",
    Action.UNDO: "open again",
    Action.NOTE: "given the note",
}
AFTERWARDS = {
    Action.ACKNOWLEDGE: "Acknowledging does not mute alerts.",
    Action.UNACKNOWLEDGE: "Alerts are not affected.",
    Action.CLOSE: "Those that still drift stay quiet for a while; each one's page says until when.",
    Action.ACCEPT: "That can be undone for 7 days.",
    Action.WAS_NORMAL: "That can be undone for 7 days.",
}
MEANWHILE = {
    State.OPEN: "changed meanwhile and is open",
    State.ACKNOWLEDGED: "changed meanwhile and is acknowledged",
    State.RESOLVED: "was resolved meanwhile",
    State.CLOSED: "was closed meanwhile",
}
ALREADY = {
    Action.ACKNOWLEDGE: "was acknowledged by you before",
    Action.UNACKNOWLEDGE: "was taken back before",
    Action.CLOSE: "was closed before",
}
"""Where nothing was left to do, and a note was not written either."""
GONE, DELETED = "does not exist", "belongs to a deleted model, and can only be read"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one incident; `why_not` is None where it was done."""

    number: int
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class BulkSummary:
    """The whole in words; `refused` says of which incidents nothing was done."""

    text: str
    refused: tuple[int, ...]


def not_allowed(action: Action, state: State) -> str:
    """Why the state of an incident does not allow an action."""
    if action is Action.CLOSE and state is State.OPEN:
        return "is open: acknowledge it before you close it"
    return f"is {state}, so it cannot be {'closed' if action is Action.CLOSE else DONE[action].partition(':')[0]}"


def summarize(action: Action, results: Sequence[Result]) -> BulkSummary:
    """All results in one sentence, then what the action means, then what to do about the rest."""
    done = sum(result.why_not is None for result in results)
    parts = [f"{done} {DONE[action]}"] if done else ["Nothing was done"]
    refused = [result for result in results if result.why_not is not None]
    for why_not in dict.fromkeys(result.why_not for result in refused):
        numbers = [result.number for result in refused if result.why_not == why_not]
        parts.append(f"{_those(numbers)} {why_not}")
    sentences = [f"{'; '.join(parts)}."]
    if done:
        sentences.append(AFTERWARDS.get(action, ""))
    if refused:
        sentences.append("Check the incidents that were skipped before you try again.")
    return BulkSummary(" ".join(filter(None, sentences)), tuple(result.number for result in refused))


def _those(numbers: Iterable[int]) -> str:
    """`#17`, `#17, #18 each`."""
    listed = [f"#{number}" for number in numbers]
    return f"{', '.join(listed)} each" if len(listed) > 1 else listed[0]
