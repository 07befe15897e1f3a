"""The fixtures under a name inside the package; pytest itself loads them from `_visor_pytest`, which costs nothing."""

from __future__ import annotations

from _visor_pytest import visor_client, visor_server

__all__ = ["visor_client", "visor_server"]
