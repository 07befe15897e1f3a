"""Sealed values on the command line: the keys that the options name, and what is told of a value that stays closed."""

from __future__ import annotations

from typing import Any, NamedTuple

from visor import codecs
from visor._core.root import Root
from visor._core.sealing import Keyring, SealError, checked_purpose, is_sealed, read_seal
from visor._drivers.keyring import keyring as with_randomness
from visor.cli.problem import Problem
from visor.cli.settings import Settings


def keyring(settings: Settings) -> Keyring | None:
    """Return the keys of `--sealing-keys` or VISOR_SEALING_KEYS, None without. Raises Problem."""
    file = settings.given("sealing_keys")
    if file is None:
        return None
    try:
        return with_randomness(codecs.read_keys(file))
    except OSError as error:
        raise Problem(f"cannot read the key file {file}: {error.strerror}", code="config") from None
    except (ValueError, ImportError) as error:
        raise Problem(str(error), code="config") from None


def seal(settings: Settings, root: str | None, path: str, data: bytes) -> bytes:
    """Return the value sealed for its path under `root`, with the first of the keys. Raises Problem, BadPath."""
    keys = keyring(settings)
    if keys is None:
        raise Problem(
            "--sealed needs keys: give --sealing-keys FILE, or set VISOR_SEALING_KEYS", code="config"
        )
    whole = Root(root or "/").path(path)
    try:
        return keys.seal(data, checked_purpose(whole))
    except ValueError as error:
        raise Problem(str(error), code="input") from None


class Sealed(NamedTuple):
    """What can be told of a sealed value."""

    key: str | None
    """The id of its key; None when the value is damaged."""
    purpose: str | None
    value: bytes | None
    """What was sealed; None when it stays closed."""
    text: str
    """That it is sealed, and why it stays so, in one line."""

    @property
    def shape(self) -> dict[str, Any]:
        """Return the JSON of it, without the value."""
        return {"key": self.key, "for": self.purpose, "opened": self.value is not None}


def look(data: bytes, keys: Keyring | None) -> Sealed | None:
    """Return what can be told of a value if it is sealed, None if not. Opens it if `keys` can."""
    if not is_sealed(data):
        return None
    try:
        found = read_seal(data)
    except SealError as error:
        return Sealed(error.key_id, None, None, f"sealed, {len(data)} bytes; {error}")
    key, purpose = found.key_id, found.purpose or None
    if keys is None:
        return Sealed(key, purpose, None, f"sealed with key {key}, {len(data)} bytes")
    try:
        return Sealed(key, purpose, keys.open(data, None), f"sealed with key {key}")
    except SealError as error:
        return Sealed(key, purpose, None, str(error))
