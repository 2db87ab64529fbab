"""What makes a new password too easy to guess. There are no rules of composition (NIST SP 800-63B): length, and nothing
that comes first to those who guess."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

DISTINCT_MIN: Final = 5
REST_MIN: Final = 6
"""Characters that must be left when common words and simple patterns are taken away."""
PART_MIN: Final = 4
"""Shorter parts of a name are in many words."""
EXAMINED: Final = 200
PRODUCT: Final = ("sentryml", "sentry")
INSTEAD: Final = "use several words that have nothing to do with each other, or let a password manager make one"

WORDS: Final = frozenset(
    """
    password passwort passwd pass word parola contrasena motdepasse secret geheim login logon signin welcome willkommen
    letmein changeme change default admin administrator root user guest test testing demo temp master system server
    service manager office company account access internet computer windows google facebook linkedin twitter amazon
    iloveyou loveyou love lovely princess prince sunshine moonlight dragon monkey tiger lion panda kitty football
    baseball basketball hockey soccer fussball liverpool chelsea arsenal barcelona juventus yankees superman batman
    spiderman ironman pokemon naruto starwars startrek matrix hunter ranger shadow killer ninja samurai pirate wizard
    freedom trustno whatever nothing something forever hello hallo bonjour hola qwerty azerty qwertz asdf zxcv abc
    flower butterfly chocolate cookie cheese banana orange apple cherry pepper ginger summer winter spring autumn
    sommer fruehling herbst january february march april may june july august september october november december
    monday tuesday wednesday thursday friday saturday sunday michael jennifer jessica ashley daniel thomas robert
    charlie andrew jordan michelle nicole matthew joshua george maria anna alexander mustang ferrari porsche mercedes
    corvette harley yamaha honda toyota money dollar million bitcoin drift model monitor incident machine learning
    """.split()  # noqa: SIM905 a list literal would be pages long
)
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl",
         "zxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "1q2w3e4r5t6z7u8i9o0p", "1q2w3e4r5t6y7u8i9o0p")  # fmt: skip
_SEQUENCES = frozenset(
    row[start : start + 4] for each in _ROWS for row in (each, each[::-1]) for start in range(len(each) - 3)
)
_WORD = re.compile("|".join(sorted(map(re.escape, WORDS), key=len, reverse=True)))
_YEAR = re.compile(r"(?:19|20)\d\d")
_REPEATED = re.compile(r"(.{1,12}?)\1+", re.DOTALL)
_PLAIN = re.compile(r"[\s!-/:-@\[-`{-~]+")
_DIGITS = re.compile(r"\d+")
_LOOKALIKES = str.maketrans("@4301!|5$7", "aaeoiiisst")


def weakness(password: str, about: Iterable[str] = ()) -> str | None:
    """Why a password is too easy to guess, and what to do; None if it is not. `about` are texts about its owner: the
    e-mail address, the name."""
    text = password[:EXAMINED].casefold()
    if len(set(text)) < DISTINCT_MIN:
        return f"this password has fewer than {DISTINCT_MIN} different characters: {INSTEAD}"
    for part in (*PRODUCT, *_parts(about)):
        if part in text:
            return f"this password contains {part!r}, which is guessed first: {INSTEAD}"
    compact = _PLAIN.sub("", text)
    if any(map(_is_common, (text, text.translate(_LOOKALIKES), compact, compact.translate(_LOOKALIKES)))):
        return f"this password is a common one, or follows a simple pattern: {INSTEAD}"
    return None


def _parts(about: Iterable[str]) -> Iterable[str]:
    """What is too easy to guess about somebody: their address, and the words in it and in their name."""
    for text in about:
        folded = text.casefold()
        local = folded.partition("@")[0]
        yield from (part for part in (folded, local, *re.split(r"[\W_\d]+", local)) if len(part) >= PART_MIN)


def _is_common(text: str) -> bool:
    """Whether little is left when common words are taken away with what people put around them, and patterns."""
    if len(text) < REST_MIN:
        return False
    rest, words = _WORD.subn("", text)
    rest = _YEAR.sub("", _without_sequences(rest))
    if words:
        rest = _DIGITS.sub("", _PLAIN.sub("", rest))
    return len(_REPEATED.sub(r"\1", _REPEATED.sub(r"\1", rest))) < REST_MIN


def _without_sequences(text: str) -> str:
    """The text without runs of neighbours in the alphabet, among the digits or on a keyboard."""
    dropped: set[int] = set()
    for start in range(len(text) - 3):
        if text[start : start + 4] in _SEQUENCES:
            dropped.update(range(start, start + 4))
    return "".join(letter for at, letter in enumerate(text) if at not in dropped)
