"""YAML as data only: no objects, no aliases, no duplicate keys, bounded size and depth.

Aliases are refused rather than bounded: nobody needs them in a settings file, and a few hundred bytes of them expand
to gigabytes. A key given twice is refused because YAML libraries silently keep one of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from frazil.config.errors import SettingsError

MAX_YAML_BYTES = 256 * 1024
MAX_YAML_DEPTH = 12


class _StrictLoader(yaml.SafeLoader):
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        refusal = ""
        if self.check_event(yaml.events.AliasEvent):
            refusal = "aliases (*name) are not allowed here"
        elif self.depth >= MAX_YAML_DEPTH:
            refusal = f"nested deeper than {MAX_YAML_DEPTH}"
        if refusal:
            raise yaml.composer.ComposerError(None, None, refusal, self.get_mark())
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a plain word", key_node.start_mark)
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key_node.value} is given twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


def line_of(text: str, place: Sequence[str | int]) -> int | None:
    """The line, from 1, on which a value stands in YAML that `parse_yaml_mapping` has taken: keys and numbers of items
    from the outside in. None: there is no such value.

    >>> line_of("rules:\\n  - name: krios\\n    preset: k3\\n", ("rules", 0, "preset"))
    3
    """
    node, line = yaml.compose(text, Loader=_StrictLoader), None
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(part)]
            key, node = pairs[0] if pairs else (None, None)
            line = None if key is None else key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return None
        if line is None:
            return None
    return line


def parse_yaml_mapping(text: str, *, source: str) -> dict[str, Any]:
    """A document that is a mapping with string keys (an empty one is an empty mapping).

    Raises
    ------
    SettingsError
        Not YAML, not a mapping, a duplicate key, an alias, too deep or too long; names the line.
    """
    if len(text) > MAX_YAML_BYTES:
        raise SettingsError(
            f"more than {MAX_YAML_BYTES} characters of YAML", path=source, remedy="leave out what is no setting"
        )
    try:
        document = yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        raise SettingsError(
            f"{where}{error.problem or error.context}", path=source, remedy="correct the YAML"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        # ValueError: a scalar that looks like a date or a number but is not one (`2026-99-99`).
        raise SettingsError(f"not valid YAML: {error}", path=source, remedy="correct the YAML") from error
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise SettingsError(
            "settings are sections of keys, but this is something else",
            path=source,
            remedy="write them as in the example of docs/configuration.md",
        )
    return document
