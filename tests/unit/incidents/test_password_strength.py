"""Which new passwords are too easy to guess, and what the refusal says."""

from __future__ import annotations

import secrets
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_incidents.domain.password_strength import INSTEAD, weakness


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "Password1234!",
        "P@ssw0rd2024!",
        "p a s s w o r d 1 2 3",
        "passwordpassword",
        "Welcome123456",
        "qwertyuiop12",
        "qwertyuiop[]12",
        "1qaz2wsx3edc4rfv",
        "123456789012",
        "210987654321",
        "Summer2026!!",
        "letmein-letmein",
        "iloveyou2025",
        "admin-admin-01",
        "abcabc123123",
        "abcdefghijkl",
        "changemechangeme",
        "1990199119921993",
    ],
)
def test_common_passwords_and_patterns_are_refused(password: str) -> None:
    said = weakness(password)
    assert said is not None
    assert "common" in said or "different characters" in said
    assert said.endswith(INSTEAD)


@pytest.mark.parametrize(
    "password", ["aaaaaaaaaaaa", "ababababababab", "111122223333", "    ....    ....", "ééééééééééééé"]
)
def test_few_different_characters_are_refused(password: str) -> None:
    assert "fewer than 5 different characters" in (weakness(password) or "")


@pytest.mark.parametrize(
    ("password", "part"),
    [
        ("Lovelace-rides-9", "lovelace"),
        ("xk2-ada.lovelace-q", "ada.lovelace"),
        ("my-ada.lovelace@example.org", "ada.lovelace@example.org"),
        ("the SentryML box 9", "sentryml"),
        ("byron-kq29-tram", "byron"),
    ],
)
def test_what_is_known_about_the_owner_is_refused(password: str, part: str) -> None:
    said = weakness(password, ["Ada.Lovelace@example.org", "Ada Byron"])
    assert said is not None
    assert f"contains {part!r}" in said


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "my own battery",
        "gilt teapot runs north",
        "machine purple wren glue",
        "839201748365",
        "%^&*#)!@(+}{?<>",
        "Канарейка поёт",
        "🦊🐧🦉🐢🦀🐝🦋🐬🦁🐸🐙🦄",
        "ada rides by night",
    ],
)
def test_no_kind_of_character_is_demanded(password: str) -> None:
    assert weakness(password, ["ada@example.org", "Ada"]) is None


@given(st.text(max_size=1000))
def test_any_text_gets_an_answer(password: str) -> None:
    weakness(password, ["a@b", password])


def test_what_a_password_manager_makes_is_accepted() -> None:
    letters = string.ascii_letters + string.digits
    made = ["".join(secrets.choice(letters) for _ in range(16)) for _ in range(300)]
    assert sum(weakness(each) is not None for each in made) <= 1
