"""From preset, YAML, environment and flags to one checked `Settings`, remembering who said what.

Precedence, strongest first: flags, environment (`FRAZIL_SECTION__KEY`), YAML file, what the session has kept, preset,
defaults. Merging is by
single key, never by whole section. A key that nobody knows is refused with its source and the nearest known one,
because a misspelt setting that is silently ignored is a wrong result.

`Settings.origins` says for each key that is not a default where its value came from. Whether a value was *said by a
person* or merely *filled by a preset* decides whether it can contradict a sidecar
(`frazil.models.formats.acquisition`), so this must survive storing the settings with the session and resuming.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import ValidationError

from frazil.config.errors import SettingsError
from frazil.config.presets import PRESET_ORIGIN, load_preset
from frazil.config.reference import KNOWN_KEYS, allowed_values, nearest_keys
from frazil.config.safe_yaml import MAX_YAML_BYTES, parse_yaml_mapping
from frazil.config.settings import PATH_KEYS, Settings
from frazil.config.stages import HASH_DIGITS, MOVIE_STAGES, keys_of

ENVIRONMENT_PREFIX = "FRAZIL_"
_NULL = "null"
_NULL_WORDS = frozenset({"null", "none", "~"})


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Any
    origin: str


_Layer = dict[str, _Entry]


def load_settings(
    *,
    preset: str | None = None,
    yaml_path: Path | None = None,
    kept_path: Path | None = None,
    environ: Mapping[str, str] = MappingProxyType({}),
    flags: Mapping[str, Any] = MappingProxyType({}),
) -> Settings:
    """The effective settings.

    Parameters
    ----------
    preset:
        Name of a shipped preset (`list_presets`); null: `FRAZIL_PRESET`, else the `preset` of the YAML file, else none.
    yaml_path:
        A file that a person wrote, or the `settings.yaml` of a session. In the latter, values that came from a preset
        or a default stay what they were, but give way when another preset is asked for.
    kept_path:
        The `settings.yaml` of a session that goes on: whatever `yaml_path` does not say is as before.
    environ:
        Usually `os.environ`. Only `FRAZIL_PRESET` and `FRAZIL_SECTION__KEY` are looked at; an empty value is not given.
        Lists are written `a,b` or `[a, b]`; `null` is null.
    flags:
        Key (`microscope.voltage_kv`, or just `voltage_kv` where one section alone has it) to value; `None`: not given;
        the text `null`: given as null.

    Relative paths are taken from the YAML file's folder, or from the working directory for flags and environment.

    Raises
    ------
    SettingsError
        Unknown key, value out of range, two settings that exclude each other, unreadable or oversized file.
    """
    files = [_file(path) for path in (kept_path, yaml_path) if path is not None]
    of_files = [one.preset for one in reversed(files) if one.preset is not None]
    name = preset or environ.get(ENVIRONMENT_PREFIX + "PRESET") or next(iter(of_files), None)

    # What a file carries along from its own preset stands after that preset, and gives way to any other.
    layers = [one.filled for one in files if one.preset != name]
    layers += [_preset_layer(name), *(one.filled for one in files if one.preset == name)]
    layers += [*(one.told for one in files), _environment_layer(environ), _flag_layer(flags)]
    merged: _Layer = {}
    for layer in layers:
        merged.update(layer)
    return _validated(merged, preset=name)


@dataclass(frozen=True, slots=True)
class _File:
    told: _Layer
    filled: _Layer
    preset: str | None


def _file(path: Path) -> _File:
    """Raises `SettingsError`."""
    document = parse_yaml_mapping(read_text(path), source=str(path))
    told, filled = _yaml_layers(document, path)
    preset = document.get("preset")
    if preset is not None and not isinstance(preset, str):
        raise SettingsError(
            f"preset is {preset!r}, which is not a name", path=path, remedy="write a name, such as preset: krios-k3"
        )
    return _File(told, filled, preset)


def settings_to_yaml(settings: Settings) -> str:
    """The whole effective configuration, every key; `load_settings(yaml_path=...)` of it gives the same settings."""
    document = settings.model_dump(mode="json")
    return (
        "# Written by frazil: every setting in force. `origins` says who gave those that are not defaults.\n"
        + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    )


def settings_of(text: str) -> Settings:
    """What `settings_to_yaml` wrote. Raises `SettingsError`."""
    told, filled = _yaml_layers(document := parse_yaml_mapping(text, source="the session's settings"), Path())
    preset = document.get("preset")
    return _validated({**filled, **told}, preset=None if preset is None else str(preset))


def with_changes(settings: Settings, changes: Mapping[str, Any], *, origin: str) -> Settings:
    """Settings with some of them other: `section.key` (or just the key where one section alone has it) to a value, or
    to a text as it would stand in the environment (`null`, `a,b`). `origin` says who gave them.

    Raises
    ------
    SettingsError
        A key that nobody knows, a value out of range, two settings that exclude each other.
    """
    told, filled = _yaml_layers(settings.model_dump(mode="json"), Path())
    layer = {
        key: _Entry(_anchored(key, _from_text(key, value), Path.cwd()) if isinstance(value, str) else value, origin)
        for key, value in ((one_key(name), value) for name, value in changes.items())
    }
    return _validated({**filled, **told, **layer}, preset=settings.preset)


def one_key(name: str) -> str:
    """`section.key` of a key that may come without its section. Raises `SettingsError`."""
    matches = [key for key in KNOWN_KEYS if key == name or ("." not in name and key.split(".")[1] == name)]
    if len(matches) != 1:
        raise _unknown(name, "asked for", matches)
    return matches[0]


_AS_BEFORE: Mapping[str, object] = MappingProxyType(
    {"microscope.beam_shift_um_per_unit": None, "restoration.causal_prior": False}
)
"""Settings that came after sessions had stored hashes: with this value no result of theirs has to be made again.
(Beside half-sums the causal prior had a say in restorations once: no resolution tells those from today's.)"""


def parameter_hash(settings: Settings, *, inputs: Mapping[str, str] = MappingProxyType({})) -> str:
    """Name of "processed in this way": equal for equal results, 32 hexadecimal digits (BLAKE2b).

    Each stage of `frazil.config.stages.MOVIE_STAGES` has digits of its own, so that two hashes tell from which stage on
    results differ (`outdated_from`). `inputs` may add facts about files that the settings only name, such as a digest
    of the gain reference; they belong to the first stage.
    """
    names = []
    for stage in MOVIE_STAGES:
        values: dict[str, object] = {}
        for key in keys_of(stage):
            section, _, leaf = key.partition(".")
            value = getattr(settings, section).model_dump(mode="json", include={leaf})[leaf]
            if key not in _AS_BEFORE or value != _AS_BEFORE[key]:
                values[key] = value
        asked = {"settings": values, "inputs": dict(inputs) if stage is MOVIE_STAGES[0] else {}}
        canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"))
        names.append(hashlib.blake2b(canonical.encode(), digest_size=HASH_DIGITS[stage] // 2).hexdigest())
    return "".join(names)


def said_by_a_person(settings: Settings, key: str) -> str | None:
    """Where the value of `key` (`section.key`) was explicitly given, or `None` if it is a default or from a preset."""
    origin = settings.origins.get(key)
    return None if origin is None or origin.startswith(PRESET_ORIGIN) else origin


def read_text(path: Path) -> str:
    """Of a file of settings. Raises `SettingsError`."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_YAML_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"the settings file cannot be read ({error.strerror})",
            path=path,
            remedy="check the path and its permissions",
        ) from error
    if len(raw) > MAX_YAML_BYTES:
        raise SettingsError(
            f"the settings file is larger than {MAX_YAML_BYTES} bytes", path=path, remedy="give a YAML file of settings"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(
            "the settings file is not UTF-8 text", path=path, remedy="save it as UTF-8, or give a YAML file of settings"
        ) from error


def _flatten(document: Mapping[Any, Any], origin: str, base: Path | None) -> _Layer:
    layer: _Layer = {}
    sections = {key.split(".")[0] for key in KNOWN_KEYS}
    for name, content in document.items():
        if name not in sections:
            raise _unknown(str(name), origin)
        if content is None:
            continue
        if not isinstance(content, Mapping):
            raise SettingsError(
                f"{name} is a section, but {origin} gives it the value {content!r}",
                remedy="write keys below it (docs/configuration.md lists them)",
            )
        for key, value in content.items():
            dotted = f"{name}.{key}"
            if dotted not in KNOWN_KEYS:
                raise _unknown(dotted, origin)
            layer[dotted] = _Entry(_anchored(dotted, value, base), origin)
    return layer


def _yaml_layers(document: Mapping[Any, Any], path: Path) -> tuple[_Layer, _Layer]:
    """What a person said in the file, and what the file only carries along from a preset or a default."""
    origins = document.get("origins")
    plain = {name: content for name, content in document.items() if name not in ("preset", "origins")}
    layer = _flatten(plain, str(path), path.absolute().parent)
    if origins is None:
        return layer, {}
    if not isinstance(origins, Mapping) or not all(isinstance(value, str) for value in origins.values()):
        raise SettingsError("origins is written by frazil and cannot be read", path=path, remedy="remove it")
    told: _Layer = {}
    filled: _Layer = {}
    for key, entry in layer.items():
        origin = origins.get(key)
        if origin is None or origin.startswith(PRESET_ORIGIN):
            filled[key] = _Entry(entry.value, origin or "")
        else:
            told[key] = _Entry(entry.value, origin)
    return told, filled


def _preset_layer(name: str | None) -> _Layer:
    return {} if name is None else _flatten(load_preset(name), f"{PRESET_ORIGIN}{name}", None)


def _environment_layer(environ: Mapping[str, str]) -> _Layer:
    layer: _Layer = {}
    sections = {key.split(".")[0] for key in KNOWN_KEYS}
    for variable, text in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or not text.strip():
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        _, separator, _ = name.partition("__")
        dotted = name.replace("__", ".", 1)
        if not separator:
            # One underscore instead of two would otherwise be ignored without a word.
            if any(name.startswith(f"{known}_") for known in sections):
                raise SettingsError(
                    f"environment variable {variable} names no setting",
                    remedy=f"write two underscores between section and key: {ENVIRONMENT_PREFIX}MICROSCOPE__VOLTAGE_KV",
                )
            continue
        if dotted not in KNOWN_KEYS:
            raise _unknown(dotted, f"environment {variable}")
        layer[dotted] = _Entry(_anchored(dotted, _from_text(dotted, text), Path.cwd()), f"environment {variable}")
    return layer


def _flag_layer(flags: Mapping[str, Any]) -> _Layer:
    layer: _Layer = {}
    for name, value in flags.items():
        if value is None:
            continue
        origin = flag_name(name) if value != _NULL else _FLAGS_THAT_CLEAR.get(name, flag_name(name))
        matches = [key for key in KNOWN_KEYS if key == name or ("." not in name and key.split(".")[1] == name)]
        if len(matches) != 1:
            raise _unknown(name, f"flag {origin}", matches)
        layer[matches[0]] = _Entry(
            None if value == _NULL else _anchored(matches[0], value, Path.cwd()), f"flag {origin}"
        )
    return layer


_OTHER_FLAGS = {
    "particles.diameter_angstrom": "--particle-diameter-angstrom",
    "particles.least_diameter_angstrom": "--least-particle-diameter-angstrom",
    "http.port": "--http",
    "http.token": "--http-token-file",
    "workers.count": "--workers",
}
"""Flags that say more than the last part of their key."""


_FLAGS_THAT_CLEAR = {"camera.gain": "--no-gain", "http.port": "--no-http"}
"""Flags that say that there is none."""


def flag_name(key: str) -> str:
    """How the command line spells a key: `microscope.voltage_kv` is `--voltage-kv`."""
    return _OTHER_FLAGS.get(key) or "--" + key.rsplit(".", 1)[-1].replace("_", "-")


def _from_text(key: str, text: str) -> Any:
    stripped = text.strip()
    if stripped.lower() in _NULL_WORDS:
        return None
    if KNOWN_KEYS[key].is_list:
        if stripped.startswith("["):
            try:
                return yaml.safe_load(stripped)
            except yaml.YAMLError as error:
                raise SettingsError(f"{key} is {text!r}, which is not a list", remedy="write a,b or [a, b]") from error
        return [part.strip() for part in stripped.split(",") if part.strip()]
    return stripped


def _anchored(key: str, value: Any, base: Path | None) -> Any:
    """Paths become absolute, so that a session resumed from another folder finds the same files."""
    if key not in PATH_KEYS or base is None:
        return value
    if isinstance(value, str | Path):
        return str(base / Path(value).expanduser())
    if isinstance(value, list | tuple):
        return [str(base / Path(item).expanduser()) if isinstance(item, str | Path) else item for item in value]
    return value


def _unknown(key: str, origin: str, matches: Iterable[str] = ()) -> SettingsError:
    several = sorted(matches)
    if several:
        return SettingsError(f"{key} ({origin}) could be any of {', '.join(several)}", remedy="write the section too")
    near = nearest_keys(key)
    remedy = f"did you mean {' or '.join(near)}?" if near else "see docs/configuration.md for all settings"
    return SettingsError(f"unknown setting {key} ({origin})", remedy=remedy)


def _validated(merged: _Layer, *, preset: str | None) -> Settings:
    document: dict[str, Any] = {"preset": preset}
    for key, entry in merged.items():
        section, _, leaf = key.partition(".")
        document.setdefault(section, {})[leaf] = entry.value
    document["origins"] = {key: entry.origin for key, entry in sorted(merged.items()) if entry.origin}
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise _readable(error, merged) from error


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Where (`section.key`, or what there is of it) and what, in words for a person."""
    first = error.errors(include_url=False)[0]
    location = [part for part in first["loc"] if isinstance(part, str)]
    return ".".join(location[:2]), first["msg"].removeprefix("Value error, ")


def _readable(error: ValidationError, merged: _Layer) -> SettingsError:
    key, message = first_fault(error)
    if key not in KNOWN_KEYS:
        # A rule between several keys of a section: its own message names them.
        sources = sorted(
            {f"{name}: {entry.origin}" for name, entry in merged.items() if name in message and entry.origin}
        )
        return SettingsError(message + (f" ({'; '.join(sources)})" if sources else ""))
    entry = merged[key]
    return SettingsError(
        f"{key} is {entry.value!r} ({entry.origin or 'default'}): {message[:1].lower()}{message[1:]}",
        remedy=f"allowed: {allowed_values(key)}",
    )
