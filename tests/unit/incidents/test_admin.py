"""`sentryml-admin` refuses what cannot be, in words, before it asks any server."""

from __future__ import annotations

import io

import pytest

from sentryml_incidents.admin import main

PASSWORD = "correct horse battery"


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (["create-api-key", "--name", " ", "--scope", "read"], "", "--name has 1 to 100 characters"),
        (["create-api-key", "--name", "x" * 101, "--scope", "read"], "", "--name has 1 to 100 characters"),
        (["create-api-key", "--name", "x", "--scope", "root"], "", "invalid choice: 'root'"),
        (["create-api-key", "--name", "x"], "", "--scope"),
        (["create-api-key", "--name", "x", "--scope", "read", "--model", "a b"], "", "--model"),
        (["create-api-key", "--name", "x", "--scope", "read", "--expires-in-days", "0"], "", "between 1 and 36500"),
        (["create-admin", "--email", "ana", "--password-stdin"], PASSWORD, "is not an address"),
        (["create-admin", "--email", "a b@c", "--password-stdin"], PASSWORD, "is not an address"),
        (["create-admin", "--email", "a@b.c", "--password-stdin"], "short", "12 to 1000 characters"),
        (["create-admin", "--email", "a@b.c", "--password-stdin"], "", "12 to 1000 characters"),
        (["create-admin", "--email", "a@b.c"], "", "--password-stdin"),
        ([], "", "usage"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    arguments: list[str],
    given: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    with pytest.raises(SystemExit) as left:
        main(arguments)
    printed = capsys.readouterr()
    assert left.value.code not in (0, None)
    assert said in printed.err + str(left.value.code)
    assert printed.out == ""
