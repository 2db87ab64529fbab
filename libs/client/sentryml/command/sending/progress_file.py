"""How far a file has been sent, in a file beside it: a second run goes on there, and a third sends nothing twice."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sentryml.command.rows import Place
from sentryml.command.terminal import Failed

HEAD_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Progress:
    """What was accepted of which file. `sending` is a hash of where to and as what; `begun` tells this sending from
    another one of the same file, which the state of the first one was removed for."""

    sending: str
    head: str
    head_bytes: int
    offset: int = 0
    line: int = 1
    accepted: int = 0
    left_out: int = 0
    begun: str = ""

    @property
    def place(self) -> Place:
        """Where to go on."""
        return Place(self.offset, self.line)

    def after(self, place: Place, *, accepted: int, left_out: int) -> Progress:
        """After another batch."""
        accepted, left_out = self.accepted + accepted, self.left_out + left_out
        return replace(self, offset=place.offset, line=place.line, accepted=accepted, left_out=left_out)

    def key_of(self, size: int) -> str:
        """The Idempotency-Key of the batch of that many events which begins here: the same in each run."""
        text = f"{self.sending} {self.head} {self.offset} {size} {self.begun}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        temporary = path.with_name(path.name + ".new")
        try:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n")
            os.replace(temporary, path)
        except OSError as err:
            text = f"{path} cannot be written ({err.strerror}): name another file with --state"
            raise Failed(text) from err


def begin(file: Path, state: Path, sending: str) -> Progress:
    """Where an earlier run has come to; the start of the file without one.

    Raises:
        Failed: the state is of another file, or of another sending of this one.
    """
    new = Progress(sending, *_head(file, HEAD_BYTES), begun=secrets.token_hex(8))
    if not state.exists():
        return new
    try:
        known = Progress(**json.loads(state.read_text()))
    except (ValueError, TypeError, OSError) as err:
        raise Failed(f"{state} is no state of `sentryml send`: remove it, or name another with --state") from err
    if known.offset == 0 and (known.sending, known.head) != (new.sending, new.head):
        return new  # nothing of the other was accepted
    if _head(file, known.head_bytes) != (known.head, known.head_bytes) or known.offset > file.stat().st_size:
        raise Failed(f"{state} is of another {file.name}, which was changed since: remove it to send this one whole")
    if known.sending != sending:
        raise Failed(f"{state} is of another address, model or choice of columns: repeat these, or remove it")
    return known


def _head(file: Path, size: int) -> tuple[str, int]:
    with file.open("rb") as opened:
        head = opened.read(size)
    return hashlib.sha256(head).hexdigest()[:32], len(head)
