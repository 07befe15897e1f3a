# Generated from tests/aio/conftest.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Real nodes, and the rule that no test leaves threads behind."""

from __future__ import annotations

from tests.following.conftest import no_threads_left, proxy, visor_client, visor_server

__all__ = ["no_threads_left", "proxy", "visor_client", "visor_server"]
