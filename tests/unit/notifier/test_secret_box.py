"""Secrets at rest: encrypted, rotated, and never shown."""

from __future__ import annotations

import pytest

from sentryml_common.errors import ConfigurationError
from sentryml_notifier.secrets import Sealed, SecretBox

OLD, NEW = "o" * 32, "n" * 40
SECRET = {"url": "https://hooks.slack.com/services/T0/B0/verysecret"}


def test_what_is_sealed_is_unreadable_and_opens_again() -> None:
    sealed = SecretBox([OLD]).seal(SECRET)
    assert b"verysecret" not in sealed
    assert SecretBox([OLD]).open(sealed) == SECRET
    assert sealed != SecretBox([OLD]).seal(SECRET)


def test_rotation() -> None:
    """The new key in front, all re-encrypted, the old key gone."""
    sealed, both = SecretBox([OLD]).seal(SECRET), SecretBox([NEW, OLD])
    assert both.open(sealed) == SECRET
    assert not both.is_newest(sealed)
    renewed = both.seal(both.open(sealed))
    assert both.is_newest(renewed)
    assert SecretBox([NEW]).open(renewed) == SECRET


@pytest.mark.parametrize("keys", [[], [NEW]])
def test_without_the_right_key_it_says_what_to_do(keys: list[str]) -> None:
    sealed, secret_box = SecretBox([OLD]).seal(SECRET), SecretBox(keys)
    assert not secret_box.is_newest(sealed)
    with pytest.raises(Sealed, match=r"SENTRYML_SECRETS_KEYS\. Put it back"):
        secret_box.open(sealed)


def test_a_changed_secret_does_not_open() -> None:
    sealed = bytearray(SecretBox([OLD]).seal(SECRET))
    sealed[40] ^= 1
    with pytest.raises(Sealed):
        SecretBox([OLD]).open(bytes(sealed))


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(Sealed, match="openssl rand -hex 32"):
        SecretBox([]).seal(SECRET)


def test_a_short_key_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError, match="SENTRYML_SECRETS_KEYS") as refused:
        SecretBox([OLD, "short"])
    assert "short" not in str(refused.value).replace("too short", "")
