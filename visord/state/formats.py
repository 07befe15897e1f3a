"""The formats of commands that this version reads: what members tell each other of in their handshake."""

from __future__ import annotations

from typing import Final

OLDEST: Final = 1
OWNERS: Final = 2
"""Batches name their owner, and commands are judged by what they cost."""
RIGHTS: Final = 3
"""An owner may be a user, and each write is judged by what its user may do."""
SECRETS: Final = 4
"""Passwords, tokens to join, revoked certificates; values can be redacted."""
FORMAT: Final = SECRETS
"""The newest that this version reads and writes."""
