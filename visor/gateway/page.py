"""What is answered without the registry: the description, pages, metrics, whether the gateway lives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from visor._core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `body` makes it when it is asked for."""

    body: Callable[[], bytes]
    media_type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
