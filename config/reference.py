"""What is known about every setting, read from the models themselves: for messages, and for docs/configuration.md.

`python -m frazil.config.reference` prints the page; tests/unit/config checks that the one in docs/ is current.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any, Literal

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from frazil.config.presets import list_presets, load_preset
from frazil.config.settings import PATH_KEYS, Settings
from frazil.config.stages import STAGE_WORDS, TOUCHES, Stage

_UNITS = {
    # Longest suffix first.
    "_dose_per_fraction_e_per_a2": "e/Å²",
    "_e_per_a2": "e/Å²",
    "_counts_per_electron": "counts/e",
    "_angstrom": "Å",
    "_degrees": "°",
    "_px2": "px²",
    "_px": "px",
    "_kv": "kV",
    "_mm": "mm",
    "_um": "µm",
    "_gb": "GB",
    "_minutes": "min",
    "_hours": "h",
    "_s": "s",
}


@dataclass(frozen=True, slots=True)
class SettingFacts:
    """One setting as a person sees it."""

    key: str
    """`section.key`."""
    unit: str
    """Empty where there is none."""
    default: Any
    allowed: str
    nullable: bool
    is_list: bool
    meaning: str


def _allowed(annotation: Any, metadata: list[Any]) -> tuple[str, bool, bool]:
    """(words, nullable, is_list) of a field's type; ranges may sit inside `X | None` or around it."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        inner, *more = typing.get_args(annotation)
        # Field(...) inside Annotated carries its constraints one level down.
        extra = [part for item in more for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return _allowed(inner, [*metadata, *extra])
    if origin in (types.UnionType, typing.Union):
        arms = [arm for arm in typing.get_args(annotation) if arm is not type(None)]
        described = [_allowed(arm, metadata) for arm in arms]
        nullable = len(arms) < len(typing.get_args(annotation))
        return " or ".join(words for words, _, _ in described), nullable, any(item[2] for item in described)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(annotation)), False, False
    if origin is dict:
        return "names, each with a text", False, False
    if origin is tuple:
        words = _allowed(typing.get_args(annotation)[0], metadata)[0]
        return f"list of {words}", False, True
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{choice.value}`" for choice in annotation), False, False
    if annotation is bool:
        return "`true`, `false`", False, False
    if annotation in (int, float):
        kind = "whole number" if annotation is int else "number"
        even = "even " if any(isinstance(item, annotated_types.MultipleOf) for item in metadata) else ""
        return f"{even}{kind}{_range_words(metadata)}", False, False
    return "text", False, False


def _range_words(metadata: list[Any]) -> str:
    low = high = ""
    for bound in metadata:
        match bound:
            case annotated_types.Ge(ge=value):
                low = f"from {value}"
            case annotated_types.Gt(gt=value):
                low = f"above {value}"
            case annotated_types.Le(le=value):
                high = f"up to {value}"
            case annotated_types.Lt(lt=value):
                high = f"below {value}"
    return "".join(f" {words}" for words in (low, high) if words)


def _facts(section: str, name: str, field: FieldInfo) -> SettingFacts:
    allowed, nullable, is_list = _allowed(field.annotation, field.metadata)
    key = f"{section}.{name}"
    if key in PATH_KEYS:
        allowed = "list of paths" if is_list else "path"
    unit = next((unit for suffix, unit in _UNITS.items() if f"_{name}".endswith(suffix)), "")
    meaning = " ".join((field.description or "").split())
    return SettingFacts(key, unit, field.default, allowed, nullable, is_list, meaning)


def _section_model(name: str) -> type[BaseModel] | None:
    annotation = Settings.model_fields[name].annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


SECTIONS: dict[str, type[BaseModel]] = {
    name: model for name in Settings.model_fields if (model := _section_model(name)) is not None
}
KNOWN_KEYS: dict[str, SettingFacts] = {
    f"{section}.{name}": _facts(section, name, field)
    for section, model in SECTIONS.items()
    for name, field in model.model_fields.items()
}


def allowed_values(key: str) -> str:
    """The values that `section.key` may take, in words with the unit: `number from 60 up to 1300 kV, or null`."""
    facts = KNOWN_KEYS[key]
    unit = f" {facts.unit}" if facts.unit else ""
    return f"{facts.allowed}{unit}{', or null' if facts.nullable else ''}".replace("`", "")


def nearest_keys(key: str, *, limit: int = 2) -> list[str]:
    """Known keys that a person may have meant: alike as a whole, or in their last word in whatever section."""

    def likeness(known: str) -> float:
        leaf, known_leaf = key.rsplit(".", 1)[-1], known.rsplit(".", 1)[-1]
        whole = SequenceMatcher(None, key.lower(), known).ratio()
        return max(whole, SequenceMatcher(None, leaf.lower(), known_leaf).ratio() - (0.0 if "." not in key else 0.05))

    ranked = sorted(KNOWN_KEYS, key=lambda known: (-likeness(known), known))
    best = likeness(ranked[0])
    return [known for known in ranked[:limit] if likeness(known) >= max(0.6, best - 0.02)]


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(str(item) for item in value) + "]"
    return str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


_INTRODUCTION = """# Configuration

<!-- Made by `python -m frazil.config.reference > docs/configuration.md`; edit the models in config/sections/. -->

Settings come, strongest first, from

1. flags of the command line (`--voltage-kv 300`),
2. the environment (`FRAZIL_MICROSCOPE__VOLTAGE_KV=300`: prefix, section, two underscores, key),
3. a YAML file (`--config FILE`),
4. what the session has kept, where it goes on (`frazil watch --session /data/session1`),
5. a preset (`--preset krios-k3`),
6. the defaults below.

They are merged key by key. An unknown key is refused, and the nearest known one is named. The whole effective
configuration is stored with the session as `settings.yaml`, with who said what under `origins`. So a session that goes
on needs no flags: its folder, and what was said of it, hold (`--config` is read only when it is given), and what is
another value than before is told at the start, with who gave both. `--once`, `--exit-when-idle` and `--json` are of one
run. `--no-gain` and `--no-http` take back what was kept.

Physical values of the exposure (pixel size, voltage, dose, ...) may also come from the sidecar (EPU XML, SerialEM mdoc)
and from the movie's header. Two of these that disagree are an error that names both; a preset or a default disagrees
with nobody, it only fills what nobody said. Where the file is known to be wrong (an uncalibrated pixel size), give your
own value and name it in `intake.sidecar_distrust`. A value that is needed and that nobody gives is asked for by name.

Relative paths are taken from the YAML file's folder, or from the working directory for flags and environment.

```yaml
preset: krios-k3
microscope:
  pixel_size_angstrom: 0.83
camera:
  gain: gain/CountRef_session7.mrc
thresholds:
  max_ctf_fit_resolution_angstrom: 6
```

## Changing settings of a session

```sh
frazil set /data/session1 microscope.cs_mm=2.7 --dry-run     # what it would touch, how many movies, how long
frazil set /data/session1 microscope.cs_mm=2.7 particles.diameter_angstrom=180
```

What a setting touches is made again, and only that: *motion* stands for the whole movie, *CTF* for the CTF fit and
what follows (losses, restoration, picking), *picking* for picks and particles. Movies that come from the microscope go
first. Until a movie's new result is there, its old one counts; the movie carries the flag `outdated-ctf` (or `-motion`,
`-picking`). `frazil status` and the screen's header say how far it is. A running daemon takes a change up at once, in
the middle of a session or after it; without one the next `frazil watch` does. A movie whose file is gone keeps its
result, and says so (`failure_reason`). Flags and `--config` of `frazil watch` on a session that is there have the same
effect.

| touches | settings |
|---|---|
@TOUCHES@

With `motion.save_even_odd` the CTF is made again without reading the movies.
"""


def _touches() -> list[str]:
    """Rows of the table of what settings touch; whole sections by name."""
    rows = []
    for stage in Stage:
        keys = [key for key in KNOWN_KEYS if TOUCHES[key] is stage]
        whole = [name for name in SECTIONS if all(TOUCHES[k] is stage for k in KNOWN_KEYS if k.startswith(f"{name}."))]
        shown = [f"all of `{name}`" for name in whole]
        shown += [f"`{key}`" for key in keys if key.partition(".")[0] not in whole]
        rows.append(f"| {STAGE_WORDS[stage]} | {', '.join(shown)} |")
    return rows


def configuration_page() -> str:
    """docs/configuration.md: every key with unit, default, allowed values and meaning, and the presets."""
    lines = [_INTRODUCTION.replace("@TOUCHES@", "\n".join(_touches()))]
    for section, model in SECTIONS.items():
        lines.append(f"## {section}\n")
        if model.__doc__:
            lines.append(" ".join(model.__doc__.split()) + "\n")
        lines += ["| key | unit | default | allowed | meaning |", "|---|---|---|---|---|"]
        for facts in KNOWN_KEYS.values():
            if facts.key.startswith(f"{section}."):
                allowed = facts.allowed + (", or null" if facts.nullable else "")
                cells = (
                    f"`{facts.key.split('.')[1]}`",
                    facts.unit,
                    f"`{_shown(facts.default)}`",
                    allowed,
                    facts.meaning,
                )
                lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        lines.append("")
    lines.append("## Presets\n")
    for name, description in list_presets().items():
        lines += [f"### {name}\n", description + "\n", "| key | value |", "|---|---|"]
        for section, content in load_preset(name).items():
            for key, value in content.items():
                shown = _shown(tuple(value) if isinstance(value, list) else value)
                lines.append(f"| `{section}.{key}` | `{_cell(shown)}` |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    print(configuration_page(), end="")
