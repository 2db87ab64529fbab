"""Monitors as YAML files: `model_id`, and any settings of its monitor, under the names of the API.

A file that names only some settings leaves the others as they are. PyYAML gives the line of each setting, so that
whatever is wrong with one is said with file and line. It is an extra: a client that only sends does not need it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import ModuleType
from typing import Any
from urllib.parse import quote

from sentryml.command.terminal import FAILED, USAGE, Failed
from sentryml.rules import MODEL_ID, MODEL_ID_RULE

ENDINGS = (".yaml", ".yml")
NOT_SETTINGS = frozenset({"v", "model_id", "version", "kept_since", "normal_time", "managed_by"})
"""What the API answers beside the settings."""
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))
FIRST_LINE = "# The monitor of one model. Put it in force with: sentryml monitors apply"


class BadFile(Exception):
    """A file is no monitor; the text begins with file and line."""


@dataclass(frozen=True, slots=True)
class MonitorFile:
    """One file. `lines` are where its settings stand, `source` is what the monitor's page calls it."""

    path: Path
    model_id: str
    settings: Mapping[str, Any]
    lines: Mapping[str, int]
    source: str = ""

    def where(self, name: str) -> str:
        """The place of a setting, for an error."""
        return f"{self.path}:{self.lines.get(name, 1)}: {name}"


def read_all(paths: Sequence[Path]) -> list[MonitorFile]:
    """The monitors of files, and of all YAML files in folders.

    Raises:
        Failed: for all that is wrong with any of them, one line each.
    """
    found, errors = [], []
    for path in _files(paths):
        try:
            found.append(read(path))
        except BadFile as err:
            errors.append(str(err))
    by_model: dict[str, MonitorFile] = {}
    for each in found:
        other = by_model.setdefault(each.model_id, each)
        if other is not each:
            errors.append(
                f"{each.where('model_id')} {each.model_id} has a file already: {other.path}. Keep one of them"
            )
    if errors:
        raise Failed("\n".join(errors), FAILED)
    return found


def _files(paths: Sequence[Path]) -> Iterable[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = (each for each in sorted(path.rglob("*")) if each.suffix in ENDINGS and each.is_file())
        yield from (each for each in inside if not any(part.startswith(".") for part in each.relative_to(path).parts))


def read(path: Path) -> MonitorFile:
    """One file.

    Raises:
        BadFile: it is no monitor.
    """
    yaml = _yaml()
    try:
        loader = yaml.SafeLoader(path.read_bytes())
        node = loader.get_single_node()
        return _monitor(yaml, loader, path, node)
    except OSError as err:
        raise BadFile(f"{path}: cannot be read: {err.strerror}") from err
    except yaml.MarkedYAMLError as err:
        line = err.problem_mark.line + 1 if err.problem_mark else 1
        several = "single" in str(err.context)
        problem = "more than one document: give each monitor its own file" if several else err.problem
        raise BadFile(f"{path}:{line}: no YAML: {problem}") from err
    except (yaml.YAMLError, RecursionError, ValueError) as err:
        raise BadFile(f"{path}: no YAML: {str(err).splitlines()[0]}") from err


def _monitor(yaml: ModuleType, loader: Any, path: Path, node: Any) -> MonitorFile:
    if not isinstance(node, yaml.MappingNode):
        raise BadFile(f"{path}:1: no monitor: a file holds model_id, and settings such as `warn: 0.15`, a line each")
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in values:
            raise BadFile(f"{path}:{line}: {name} stands on line {lines[name]} already. Keep one of them")
        lines[name] = line
        if name == "model_id" and isinstance(value, yaml.ScalarNode):
            values[name] = value.value  # 123 and 2024-01-01 are ids, too
        elif name not in NOT_SETTINGS:
            values[name] = _value(yaml, loader, value, f"{path}:{line}: {name}")
    model_id = values.pop("model_id", "")
    if not model_id or not isinstance(model_id, str):
        raise BadFile(f"{path}:{lines.get('model_id', 1)}: model_id is missing: say whose monitor it is")
    if not MODEL_ID.fullmatch(model_id):
        raise BadFile(f"{path}:{lines['model_id']}: model_id {MODEL_ID_RULE}")
    return MonitorFile(path, model_id, values, lines)


def _value(yaml: ModuleType, loader: Any, node: Any, where: str) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_scalar(yaml, loader, each, where) for each in node.value]
    return _scalar(yaml, loader, node, where)


def _scalar(yaml: ModuleType, loader: Any, node: Any, where: str) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        raise BadFile(f"{where} is a mapping: settings are numbers, text, true, false, null, or a list of these")
    try:
        value = loader.construct_object(node)
    except (ValueError, LookupError, AttributeError):  # PyYAML does not expect a tag that does not fit
        raise BadFile(f"{where} is {node.value!r}, which is no {node.tag.rpartition(':')[2]}") from None
    if isinstance(value, str) and node.style is None:
        value = _as_number(value)
    if not isinstance(value, str | int | float | bool | None) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        raise BadFile(f"{where} is {node.value}: settings are finite numbers, text, true, false or null")
    return value


def _as_number(text: str) -> str | float:
    """1e-3 is text in YAML 1.1, and surely meant as a number."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and "_" not in text else text


def settings_of(monitor: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in what the API answers."""
    return {name: value for name, value in monitor.items() if name not in NOT_SETTINGS}


def differences(in_force: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What each setting is, and would be, where these differ. A name that no monitor has differs, too."""
    return {
        name: (in_force.get(name), value)
        for name, value in target.items()
        if name not in in_force or _differ(in_force[name], value)
    }


def _differ(one: Any, other: Any) -> bool:
    return bool(one != other) or isinstance(one, bool) != isinstance(other, bool)


def write(path: Path, model_id: str, settings: Mapping[str, Any]) -> None:
    """Write a file, whole or not at all; periods with their length in words.

    Raises:
        Failed: it cannot be written.
    """
    lines = [FIRST_LINE, _line("model_id", model_id), *(_line(name, value) for name, value in settings.items())]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False, encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        try:
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
    except OSError as err:
        raise Failed(f"{path} cannot be written: {err.strerror}") from err


def _line(name: str, value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, list):
        return f"{name}: {_yaml().safe_dump(value, default_flow_style=True, width=1_000).strip()}"
    text: str = _yaml().safe_dump({name: value}, default_flow_style=False, allow_unicode=True, width=1_000)
    return text.strip() + (f"  # {in_words(value)}" if name.endswith("_seconds") and value else "")


def in_words(seconds: float) -> str:
    """A period in the largest unit that gives a whole number."""
    return next((f"{seconds / size:g} {unit}" for unit, size in UNITS if seconds % size == 0), f"{seconds:g} s")


def default_path(folder: Path, model_id: str) -> Path:
    """Where the file of a model is written first; `:` is no character of file names everywhere."""
    return folder / f"{quote(model_id, safe='')}.yaml"


def _yaml() -> ModuleType:
    try:
        import yaml  # noqa: PLC0415
    except ImportError as err:
        raise Failed("monitors are YAML files, which needs PyYAML: pip install pyyaml", USAGE) from err
    return yaml
