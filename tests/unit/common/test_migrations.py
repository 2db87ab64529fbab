"""Migrations are applied in the order of their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentryml_common.postgres.migrate import read_migrations


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
