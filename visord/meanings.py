"""What each setting means, in which unit, and within which bounds: what `visord config show` tells.

meaning("listen.waiting")   Meaning("Requests that wait for a rev, ...", "", "1024 to 1048576")
similar("node.nmae", keys)  "node.name"
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic.fields import FieldInfo

from visord.settings import Section, Settings

UNITS: Final = {"_bytes": "bytes", "_seconds": "seconds"}
"""A name that ends like this says its unit."""


class Meaning(NamedTuple):
    """What is to be known of a setting, in words; "" where there is nothing to be said."""

    text: str
    unit: str
    bounds: str

    @property
    def line(self) -> str:
        """All of it in one line."""
        limits = ", ".join(filter(None, (self.unit, self.bounds)))
        return f"{self.text} [{limits}]" if limits else self.text


def meaning(key: str) -> Meaning:
    """Return what the setting with this dotted key means. Raises KeyError when there is none."""
    model: type[Section] = Settings
    *sections, name = key.split(".")
    for section in sections:
        inner = model.model_fields[section].annotation
        assert isinstance(inner, type) and issubclass(inner, Section)
        model = inner
    field = model.model_fields[name]
    unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
    return Meaning(" ".join((field.description or "").split()), unit, _bounds(field))


def _bounds(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(map(str, get_args(field.annotation)))
    if field.annotation is bool:
        return "true or false"
    low, high = _first(field.metadata, Ge, "ge"), _first(field.metadata, Le, "le")
    above, below = _first(field.metadata, Gt, "gt"), _first(field.metadata, Lt, "lt")
    least, most = _first(field.metadata, MinLen, "min_length"), _first(field.metadata, MaxLen, "max_length")
    if most is not None:
        return f"{least or 0} to {most} characters"
    if low is not None and high is not None:
        return f"{low} to {high}"
    words = [(low, "at least"), (above, "above"), (high, "at most"), (below, "below")]
    return ", ".join(f"{word} {bound}" for bound, word in words if bound is not None)


def _first(metadata: Iterable[Any], kind: type, name: str) -> Any:
    return next((getattr(one, name) for one in metadata if isinstance(one, kind)), None)


def similar(name: str, names: Iterable[str]) -> str | None:
    """Return which of the names somebody probably meant who wrote this one."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.75)
    return found[0] if found else None
