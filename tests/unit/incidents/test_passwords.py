"""Passwords: what fits, and that hashes follow when their cost changes."""

from __future__ import annotations

from argon2 import PasswordHasher

from sentryml_incidents.passwords import LENGTH_MIN, Verdict, hash_password, make_initial_password, verify_password

PASSWORD = "correct horse battery"


def test_a_password_fits_its_hash_alone() -> None:
    kept = hash_password(PASSWORD)
    assert verify_password(PASSWORD, kept) == Verdict(True)
    for wrong in ("", PASSWORD + " ", PASSWORD.upper()):
        assert verify_password(wrong, kept) == Verdict(False)
    assert verify_password(PASSWORD, None) == Verdict(False)
    assert verify_password(PASSWORD, "not a hash") == Verdict(False)


def test_a_hash_made_at_another_cost_is_replaced_when_its_password_is_seen() -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    verdict = verify_password(PASSWORD, cheap)
    assert verdict.fits
    assert verdict.better_hash is not None
    assert verify_password(PASSWORD, verdict.better_hash) == Verdict(True)
    assert verify_password("wrong", cheap) == Verdict(False)


def test_an_initial_password_is_long_enough_and_never_the_same() -> None:
    made = {make_initial_password() for _ in range(50)}
    assert len(made) == 50
    assert all(len(each) >= LENGTH_MIN for each in made)
