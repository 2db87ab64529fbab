"""The work of `make bench-real` in pieces, for processes of their own."""

from __future__ import annotations

from bench.real.product import OURS, Rule
from bench.real.rivals import Rival
from bench.real.streams import Stream
from bench.real.trials import Product, Results, Rivals, try_all
from sentryml_common.contracts.monitor import HOUR, MINUTE

Piece = tuple[Stream, Rule | Rival]
OFTEN = Rule("ours, every 5 minutes", season=True, slow=True, every=5 * MINUTE)


def try_one(piece: Piece) -> tuple[tuple[str, str], Results]:
    stream, rule = piece
    subject = Product(rule, stream.events) if isinstance(rule, Rule) else Rivals(rule, stream.events)
    return (stream.name, rule.name), try_all(stream, subject)


def by_how_often(stream: Stream) -> list[list[str]]:
    """How many incidents each of two intervals opens in the quiet year, and how many of them the other opens too."""
    seldom, often = (Product(rule, stream.events).quiet_year().begun for rule in (OURS, OFTEN))
    return [
        ["every 30 minutes", str(len(seldom)), str(_near(seldom, often))],
        ["every 5 minutes", str(len(often)), str(_near(often, seldom))],
    ]


def _near(times: list[float], others: list[float]) -> int:
    return sum(any(abs(at - other) <= HOUR for other in others) for at in times)
