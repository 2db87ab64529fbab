"""The table of docs/monitors.md is that of the contract: every setting, and its default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sentryml_common.contracts.monitor import MonitorSettings

PAGE = (Path(__file__).parents[3] / "docs" / "monitors.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", PAGE, re.MULTILINE))


def written(default: Any) -> str:
    """A default as the page writes it."""
    if default is None:
        return "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, str):
        return default
    return ", ".join(default) if isinstance(default, tuple) else f"{default:g}"


def test_the_page_has_every_setting_in_the_contracts_order() -> None:
    assert list(ROWS) == list(MonitorSettings.model_fields)


@pytest.mark.parametrize("name", MonitorSettings.model_fields)
def test_the_page_tells_the_default(name: str) -> None:
    default = getattr(MonitorSettings(), name)
    assert ROWS[name].partition(" (")[0] == written(default)
