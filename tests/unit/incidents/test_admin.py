"""`sentryml-admin` refuses what cannot be, in words, before it asks any server."""

from __future__ import annotations

import io

import pytest

from sentryml_common.contracts.api_key import form_key
from sentryml_incidents.cli.admin import main

KEY = form_key("k7m2p9q4r1s8", "s" * 43)
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
        (["create-api-key", "--name", KEY, "--scope", "read"], "", "holds an API key"),
        (["create-api-key", "--name", "x", "--scope", "read", "--model", KEY], "", "holds an API key"),
        (["rotate-api-key", "nonsense"], "", "is no id of an API key"),
        (["rotate-api-key", "0" * 12, "--overlap-seconds", "-1"], "", "between 0 and 2592000"),
        (["rotate-api-key", "0" * 12, "--overlap-seconds", "nan"], "", "between 0 and 2592000"),
        (["rotate-api-key", KEY], "", "never the key itself"),
        (["revoke-api-key", KEY], "", "never the key itself"),
        (["revoke-api-key"], "", "key_id"),
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
    assert KEY not in printed.err + str(left.value.code)
