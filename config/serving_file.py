"""The rules of `frazil serve` from their YAML file: what is wrong is named with its file, its line and what to do.

The settings of each rule are checked here as `frazil watch` would check them, so that a mistake is found when the file
is saved and not when the first movie of a night arrives.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from frazil.config.errors import SettingsError
from frazil.config.loading import read_text
from frazil.config.presets import load_preset
from frazil.config.reference import KNOWN_KEYS, allowed_values, nearest_keys
from frazil.config.safe_yaml import line_of, parse_yaml_mapping
from frazil.config.serving import Rule, ServeRules, Treatment
from frazil.config.settings import PATH_KEYS, Settings

_Place = tuple[str | int, ...]
_NAME = "{name}"
_ALL_SETTINGS = "see docs/configuration.md for all settings"


def load_rules(path: Path) -> ServeRules:
    """Raises `SettingsError`: not YAML, an unknown key, a value out of range, settings that `frazil watch` refuses."""
    text = read_text(path)
    document = parse_yaml_mapping(text, source=str(path))
    try:
        rules = ServeRules.model_validate(document)
    except ValidationError as error:
        raise _fault(path, text, (), error) from error
    for place, treatment in _treatments(rules):
        _check_settings(path, text, place, treatment)
    return rules


def session_settings(
    treatment: Treatment, rules_path: Path, acquisition: str, gain: Path | None, *, workers: int | None = None
) -> str:
    """The YAML for `frazil watch --config`. `acquisition`: the name of its folder; `gain`: the reference found for it.
    `workers`: how many, where the rule does not say. Relative paths are taken from the folder of the rules."""
    sections = _sections(treatment)
    for section, content in sections.items():
        for key, value in content.items():
            named = _named(value, acquisition)
            content[key] = _anchored(named, rules_path) if f"{section}.{key}" in PATH_KEYS else named
    if gain is not None:
        sections.setdefault("camera", {})["gain"] = str(gain)
    if workers is not None:
        sections.setdefault("workers", {}).setdefault("count", workers)
    head = {} if treatment.preset is None else {"preset": treatment.preset}
    return yaml.safe_dump(head | sections, sort_keys=False, allow_unicode=True)


def _treatments(rules: ServeRules) -> list[tuple[_Place, Treatment]]:
    named: list[tuple[_Place, Treatment]] = [(("rules", index), rule) for index, rule in enumerate(rules.rules)]
    return named if rules.default is None else [*named, (("default",), rules.default)]


def _sections(treatment: Treatment) -> dict[str, dict[str, Any]]:
    sections = {name: dict(content) for name, content in treatment.settings.items()}
    if treatment.alerts:
        sections["alerts"] = dict(treatment.alerts)
    return sections


def _check_settings(path: Path, text: str, place: _Place, treatment: Treatment) -> None:
    if treatment.preset is not None:
        try:
            document = load_preset(treatment.preset)
        except SettingsError as error:
            where = _where(text, (*place, "preset"))
            raise SettingsError(f"{where}{_of(treatment)}{error.what}", path=path, remedy=error.remedy) from error
    else:
        document = {}
    for section, content in _sections(treatment).items():
        for key in content:
            if (dotted := f"{section}.{key}") not in KNOWN_KEYS:
                near = nearest_keys(dotted)
                remedy = f"did you mean {' or '.join(near)}?" if near else _ALL_SETTINGS
                where = _where(text, _place_of(text, place, section, key))
                raise SettingsError(f"{where}{_of(treatment)}unknown setting {dotted}", path=path, remedy=remedy)
        document[section] = {**document.get(section, {}), **content}
    try:
        Settings.model_validate(document)
    except ValidationError as error:
        raise _fault(path, text, place, error, treatment) from error


def _fault(
    path: Path, text: str, place: _Place, error: ValidationError, treatment: Treatment | None = None
) -> SettingsError:
    """The first fault; `treatment`: the place is one of its settings."""
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    inner = first["loc"]
    if treatment is None:
        words, remedy = ".".join(str(part) for part in inner if isinstance(part, str)), "see docs/serve.md for all keys"
        at: _Place = (*place, *inner)
    else:
        words = ".".join(str(part) for part in inner[:2])
        remedy = f"allowed: {allowed_values(words)}" if words in KNOWN_KEYS else _ALL_SETTINGS
        at = _place_of(text, place, *(str(part) for part in inner[:2]))
    given = "" if isinstance(first["input"], dict) or not words else f"{words} is {first['input']!r}: "
    if first["type"] == "extra_forbidden":
        given, message = "", f"there is no key {words}"
    elif first["type"] == "missing":
        given, message = "", f"{words} is missing"
    what = f"{_where(text, at)}{_of(treatment)}{given}{message[:1].lower()}{message[1:]}"
    return SettingsError(what, path=path, remedy=remedy)


def _place_of(text: str, place: _Place, section: str = "", key: str = "") -> _Place:
    """Of a setting of a rule: alerts may stand beside the settings."""
    if section == "alerts" and line_of(text, (*place, section)) is not None:
        return (*place, section, key)
    return (*place, "settings", section, key)


def _where(text: str, place: _Place) -> str:
    """The line of what is nearest to a place, as far as it is in the file."""
    line = next((found for end in range(len(place), 0, -1) if (found := line_of(text, place[:end])) is not None), None)
    return "" if line is None else f"line {line}: "


def _of(treatment: Treatment | None) -> str:
    return "" if treatment is None else f"rule {treatment.name}: " if isinstance(treatment, Rule) else "default: "


def _named(value: Any, acquisition: str) -> Any:
    if isinstance(value, str):
        return value.replace(_NAME, acquisition)
    return [_named(item, acquisition) for item in value] if isinstance(value, list | tuple) else value


def _anchored(value: Any, rules_path: Path) -> Any:
    if isinstance(value, str):
        return str(rules_path.absolute().parent / Path(value).expanduser())
    return [_anchored(item, rules_path) for item in value] if isinstance(value, list | tuple) else value
