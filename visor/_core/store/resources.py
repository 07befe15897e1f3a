"""Kinds that users make at run time: an extension declares one, resources are its objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from visor._core.public import public
from visor._core.store.kind import Index, Kind, Refers
from visor._core.store.record import Record


@dataclass(frozen=True, kw_only=True)
class Extension(Record):
    """Declares a kind of resources by its name; never changed, and not deleted while there are any."""

    name: str
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Resource(Record):
    """An object of a kind that an extension declares; what `payload` means is the users' business."""

    name: str
    kind: str
    payload: bytes = b""


def extension_kinds(index: Sequence[str | Index] = ()) -> list[Kind[Any]]:
    """Return the two kinds for a `Store`; `index` adds indexes to resources.

    Names of extensions are unique, those of resources within their kind.
    """
    return [
        Kind(Extension, unique=["name"], immutable=True),
        Kind(Resource, index=["kind", *index], refers=[Refers("kind", Extension)]),
    ]


public("visor.store", Extension, Resource, extension_kinds)
