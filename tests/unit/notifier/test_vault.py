"""Secrets at rest: encrypted, rotated, and never shown."""

from __future__ import annotations

import pytest

from sentryml_common.errors import ConfigurationError
from sentryml_notifier.secrets import Sealed, Vault

OLD, NEW = "o" * 32, "n" * 40
SECRET = {"url": "https://hooks.slack.com/services/T0/B0/verysecret"}


def test_what_is_sealed_is_unreadable_and_opens_again() -> None:
    sealed = Vault([OLD]).seal(SECRET)
    assert b"verysecret" not in sealed
    assert Vault([OLD]).open(sealed) == SECRET
    assert sealed != Vault([OLD]).seal(SECRET)


def test_rotation() -> None:
    """The new key in front, all encrypted anew, the old key gone."""
    sealed, both = Vault([OLD]).seal(SECRET), Vault([NEW, OLD])
    assert both.open(sealed) == SECRET
    assert not both.is_newest(sealed)
    renewed = both.seal(both.open(sealed))
    assert both.is_newest(renewed)
    assert Vault([NEW]).open(renewed) == SECRET


@pytest.mark.parametrize("keys", [[], [NEW]])
def test_without_the_right_key_it_says_what_to_do(keys: list[str]) -> None:
    sealed, vault = Vault([OLD]).seal(SECRET), Vault(keys)
    assert not vault.is_newest(sealed)
    with pytest.raises(Sealed, match=r"SENTRYML_SECRETS_KEYS\. Put it back"):
        vault.open(sealed)


def test_a_changed_secret_does_not_open() -> None:
    sealed = bytearray(Vault([OLD]).seal(SECRET))
    sealed[40] ^= 1
    with pytest.raises(Sealed):
        Vault([OLD]).open(bytes(sealed))


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(Sealed, match="openssl rand -hex 32"):
        Vault([]).seal(SECRET)


def test_a_short_key_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError, match="SENTRYML_SECRETS_KEYS") as refused:
        Vault([OLD, "short"])
    assert "short" not in str(refused.value).replace("too short", "")
