"""Real nodes, and the rule that no test leaves threads behind."""

from __future__ import annotations

from tests.following.conftest import no_threads_left, proxy, visor_client, visor_server

__all__ = ["no_threads_left", "proxy", "visor_client", "visor_server"]
