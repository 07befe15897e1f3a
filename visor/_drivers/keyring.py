"""Keys of sealed values with the system's randomness, of which each value gets its nonce."""

from __future__ import annotations

import os

from visor._core.sealing import Keyring


def keyring(keys: object) -> Keyring:
    """Return the keys, ready to seal and open. TypeError, ValueError, ImportError as `Keyring` raises."""
    return Keyring(keys, os.urandom)
