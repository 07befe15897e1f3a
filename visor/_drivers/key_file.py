"""Keys of sealed values, read from a file that nobody else may read; what they are for: `visor.codecs.sealed`."""

from __future__ import annotations

from visor._core.sealing import SECRET, named_keys
from visor._drivers.token_file import read_secret

LIMIT = 1 << 14
"""Bytes of a file of keys."""


def read(file: str) -> dict[str, bytes]:
    """Return the keys by their ids, in the order of the file. ValueError, in which no key stands; OSError."""
    data = read_secret(file, "key", LIMIT)
    if len(data) > LIMIT:
        raise ValueError(f"the key file {file} is over 16 KiB")
    keys: dict[str, bytes] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        name, key = _line(line, f"line {number} of the key file {file}")
        if name in keys:
            raise ValueError(f"line {number} of the key file {file}: there is a key {name!r} already")
        keys[name] = key
    if not keys:
        raise ValueError(f"the key file {file} has no keys: a line is an id, a space and 64 hex digits")
    return named_keys(keys)


def _line(line: bytes, where: str) -> tuple[str, bytes]:
    """Return the id and the key of one line. The line itself is never told: some of it is a secret."""
    try:
        name, digits = line.decode("ascii").split()
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if len(key) != SECRET:
        raise ValueError(f"{where} is not an id, a space and {2 * SECRET} hex digits")
    try:
        return next(iter(named_keys({name: key}).items()))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
