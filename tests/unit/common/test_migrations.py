"""Migrations are applied in the order of their numbers, and what has been applied stays as it was."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from sentryml_common.postgres.migrate import checksum_of, read_migrations, why_not

DOCS = (Path(__file__).resolve().parent.parent.parent.parent / "docs" / "upgrading.md").read_text()
APPLIED = {"0001_a.sql": "a", "0002_b.sql": "b"}


def test_migrations_are_read_in_the_order_of_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "example_service" / "migrations"
    folder.mkdir(parents=True)
    (tmp_path / "example_service" / "__init__.py").write_text("")
    for name, sql in [("0010_later.sql", "SELECT 10"), ("0002_then.sql", "SELECT 2"), ("0001_first.sql", "SELECT 1")]:
        (folder / name).write_text(sql)
    (folder / "README.md").write_text("not SQL")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert read_migrations("example_service") == [
        ("0001_first.sql", "SELECT 1"),
        ("0002_then.sql", "SELECT 2"),
        ("0010_later.sql", "SELECT 10"),
    ]


@pytest.mark.parametrize("package", ["sentryml_incidents", "sentryml_notifier"])
def test_the_services_number_their_migrations_without_gap(package: str) -> None:
    migrations = read_migrations(package)
    assert migrations
    assert [int(name.partition("_")[0]) for name, _ in migrations] == list(range(1, len(migrations) + 1))
    assert len({len(name.partition("_")[0]) for name, _ in migrations}) == 1, "pad numbers to one length"
    assert all(sql.strip() for _, sql in migrations)


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        ({**APPLIED, "0003_c.sql": "c"}, None),
        ({"0001_a.sql": "x", "0002_b.sql": "b"}, "0001_a.sql has changed since it was applied; restore that file"),
        ({"0002_b.sql": "b"}, "0001_a.sql was applied, and the file is gone; restore it"),
        ({"0001_a.sql": "a"}, "a newer version has applied 0002_b.sql; install that version, or restore a backup"),
        ({}, "a newer version has applied 0001_a.sql"),
        (
            {"0001_a.sql": "a", "0003_b.sql": "b"},
            "0002_b.sql was applied under that name, and is called 0003_b.sql now",
        ),
        ({**APPLIED, "0001_z.sql": "z"}, "0001_z.sql would come before 0002_b.sql, which has been applied; give it a"),
    ],
)
def test_what_does_not_follow_what_was_applied_is_said_in_a_sentence(
    installed: dict[str, str], said: str | None
) -> None:
    found = why_not(APPLIED, installed)
    assert found == said if said is None else str(found).startswith(said)


def test_everything_follows_an_empty_database() -> None:
    assert why_not({}, APPLIED) is None


RELEASED = {
    "sentryml_incidents": {
        "0001_initial.sql": "684d093d2cde2869",
        "0002_evaluation_weeks.sql": "cf2d6515955bb94a",
        "0003_people.sql": "2797f2c31a619232",
        "0004_api_keys.sql": "9ba476662f63ac11",
        "0005_deleting_models.sql": "039596ec9683f5b1",
        "0006_stream.sql": "398a4b3f543dcad8",
        "0007_deliveries.sql": "2fa3accd391bb708",
        "0008_psi_of_evaluations.sql": "f766a5aff5f66509",
        "0009_bins_of_evaluations.sql": "c20344ca10b57c56",
        "0010_worst_severity.sql": "6c60bda69ccd4979",
    },
    "sentryml_notifier": {
        "0001_initial.sql": "494b4539d6876612",
        "0002_channels.sql": "c83e5e699d9a1a09",
        "0003_telling.sql": "a2058e141ab72ea7",
        "0004_conversations.sql": "3fc2de8da52df33b",
        "0005_routes.sql": "a9540172cf201a7d",
        "0006_pacing.sql": "03de56c7025e3fc2",
        "0007_audit_and_versions.sql": "36aebe7bf6478e1c",
        "0008_long_ledgers.sql": "773ea8d102111017",
    },
}
"""The beginning of each file's checksum. Released files never change: installations have applied them."""


@pytest.mark.parametrize("package", RELEASED)
def test_released_migrations_are_as_they_were_released(package: str) -> None:
    """A release adds its new ones to the list; those that are there stay."""
    installed = {name: checksum_of(sql)[:16] for name, sql in read_migrations(package)}
    assert {name: installed.get(name) for name in RELEASED[package]} == RELEASED[package]


@pytest.mark.parametrize(
    "said",
    [
        "a newer version has applied",
        "was applied, and the file is gone",
        "was applied under that name",
        "has changed since it was applied",
        "would come before",
        "PostgreSQL refuses the migration",
    ],
)
def test_what_is_said_is_explained_to_who_upgrades(said: str) -> None:
    assert said in DOCS
    assert said in Path(inspect.getfile(why_not)).read_text()
