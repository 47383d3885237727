"""What a path's parameters may be: read from the text of an address, and described for OpenAPI by the same record."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from frazil.config.errors import UsageError

Value: TypeAlias = bool | int | float | str | None
INT64_MAX = 2**63 - 1

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a path (`{name}` in it) or of the query part.

    `least` and `most` bound a number, ends included; None: only what 64 bits hold.
    """

    name: str
    kind: type[str] | type[int] | type[float] | type[bool] = str
    default: Value = None
    required: bool = False
    choices: tuple[str, ...] = ()
    several: bool = False
    """A comma-separated list of choices."""
    least: int | None = None
    most: int | None = None
    words: str = ""
    where: Literal["query", "path"] = "query"

    def read(self, text: str) -> Value:
        """The value that the text stands for. Raises `UsageError` for what `schema` does not allow."""
        if self.kind is str:
            return self._chosen(text)
        if self.kind is bool:
            if text not in ("true", "false"):
                raise self._wrong(text, "true or false")
            return text == "true"
        value: int | float
        if self.kind is int:
            if not _INTEGER.fullmatch(text):
                raise self._wrong(text, "a whole number")
            value = int(text)
        else:
            if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
                raise self._wrong(text, "a number")
            value = float(text)
        low, high = self._bounds()
        if (low is not None and value < low) or (high is not None and value > high):
            raise self._wrong(text, f"from {low} to {high}" if high is not None else f"at least {low}")
        return value

    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the value."""
        one: dict[str, Any] = {"type": _NAMES[self.kind]}
        if self.kind is int:
            one["format"] = "int64"
        if self.kind in (int, float):
            low, high = self._bounds()
            one |= {key: bound for key, bound in (("minimum", low), ("maximum", high)) if bound is not None}
        if self.choices:
            one["enum"] = list(self.choices)
        if self.where == "path":
            one["minLength"] = 1
        if self.several:
            one = {"type": "array", "items": one, "minItems": 1}
        if self.default is not None:
            one["default"] = str(self.default).split(",") if self.several else self.default
        return one

    def document(self) -> dict[str, Any]:
        """The parameter object of OpenAPI 3.1."""
        found: dict[str, Any] = {"name": self.name, "in": self.where, "schema": self.schema()}
        if self.words:
            found["description"] = self.words
        if self.required or self.where == "path":
            found["required"] = True
        if self.several:
            found |= {"style": "form", "explode": False}
        return found

    def _bounds(self) -> tuple[int | None, int | None]:
        if self.kind is not int:
            return self.least, self.most
        return -INT64_MAX if self.least is None else self.least, INT64_MAX if self.most is None else self.most

    def _chosen(self, text: str) -> str:
        for part in text.split(",") if self.several else [text]:
            if self.choices and part not in self.choices:
                raise self._wrong(part, "one of " + ", ".join(self.choices))
        return text

    def _wrong(self, text: str, allowed: str) -> UsageError:
        return UsageError(f"{self.name} cannot be {text[:80]!r}", remedy=f"give {allowed}")
