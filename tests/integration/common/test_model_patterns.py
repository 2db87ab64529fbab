"""Patterns of models on a real PostgreSQL: it finds what `fnmatch` finds, so that lists and single lookups agree."""

from __future__ import annotations

import random

import asyncpg

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.postgres.model_patterns import ALPHABET, model_regexes

PATTERNS, IDS = 3_000, 60
LETTERS = "aB1.-_:*?[]!"
KNOWN = [
    "fraud-*", "*", "?", "[ab]*", "[!ab]*", "[]a]b", "[!]a]b", "[]", "[!]", "[", "a[", "[a-", "[b-a]", "[a-z]1",
    "[--.]*",
    "[!a-z]*", "a.b",
    "a+b", "**a**", "a]", "!a", "[[]a", "[^a]*", "a-*-1",
]  # fmt: skip


def some_text(rng: random.Random, letters: str) -> str:
    return "".join(rng.choices(letters, k=rng.randint(1, 6)))


async def test_postgres_finds_the_models_that_fnmatch_finds(postgres_url: str) -> None:
    rng = random.Random(5)
    ids = [some_text(rng, "aB1.-_:") for _ in range(IDS)] + ["a", "b", "ab", "fraud-eu", "a.b", "axb", *ALPHABET]
    patterns = KNOWN + [some_text(rng, LETTERS) for _ in range(PATTERNS)]
    connection = await asyncpg.connect(postgres_url)
    try:
        query = "SELECT model_id FROM unnest($1::text[]) AS model_id WHERE model_id ~ ANY ($2::text[])"
        statement = await connection.prepare(query)
        matched = 0
        for pattern in patterns:
            key = ApiKey(key_id="k7m2p9q4r1s8", name="x", key_hash="", scopes=(), models=(pattern,))
            found = {row["model_id"] for row in await statement.fetch(ids, model_regexes([pattern]))}
            expected = {model_id for model_id in ids if key.allows_model(model_id)}
            assert found == expected, (pattern, found ^ expected)
            matched += len(found)
        assert matched > PATTERNS, "the patterns match something"
        both = await statement.fetch(["a-1", "b-1", "c-1"], model_regexes(["a*", "b*"]))
        assert [row["model_id"] for row in both] == ["a-1", "b-1"]
        assert model_regexes(()) is None
    finally:
        await connection.close()
