"""The formats of commands that this version reads: what members tell each other of in their handshake."""

from __future__ import annotations

from typing import Final

FORMAT: Final = 2
"""The newest that this version reads and writes."""
OLDEST: Final = 1
