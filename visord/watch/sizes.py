"""How many bytes changes take, told from lengths alone: nothing is encoded to find that out.

    [3, "/a/b", [7, nil, 0, 0, 0], [5, <1 MiB>, 5, 1, 0]]        1 + 1 + 5 + 6 + (1 + 1 + 5 + 1048576 + 3) bytes

The figures are those of msgpack, and exact: a test compares them with what the encoder makes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

from visor.paths import size as text_size
from visor.protocol import verbs
from visord.watch.messages import Change, Version, bin_header

SMALL_BYTES: Final = 64 << 10
"""Changes that have no more together, in any shape, are encoded without further ado."""


def small(changes: Iterable[Change]) -> bool:
    """Tell whether changes surely have no more than `SMALL_BYTES` together; looks at no more than it takes."""
    return most(changes, SMALL_BYTES) <= SMALL_BYTES


def most(changes: Iterable[Change], enough: int = sys.maxsize) -> int:
    """Return what changes surely do not exceed together, in any shape: told faster than their size.

    Once it is over `enough` the rest is not looked at.
    """
    size = 0
    for _, path, version, previous in changes:
        # Two versions with long numbers and their headers are 104 bytes at most, a character is 4.
        size += 4 * (26 + len(path))
        if (value := version[1]) is not None:
            size += len(value)
        if previous is not None and (value := previous[1]) is not None:
            size += len(value)
        if size > enough:
            break
    return size


def change_size(change: Change, shape: int) -> int:
    """Return how many bytes a change takes in a shape."""
    _, path, version, previous = change
    length = text_size(path)
    keys = shape & verbs.W_KEYS
    size = 2 + _text_header(length) + length + _version_size(version, keys)
    if not shape & verbs.W_PREVIOUS:
        return size
    return size + (1 if previous is None else _version_size(previous, keys))


def _version_size(version: Version, keys: int) -> int:
    rev, value, created, count, lease = version
    size = 1 + _integer(rev) + _integer(created) + _integer(count) + _integer(lease)
    if keys or value is None:
        return size + 1
    return size + len(bin_header(len(value))) + len(value)


def _text_header(length: int) -> int:
    if length < 32:
        return 1
    if length < 1 << 8:
        return 2
    return 3 if length < 1 << 16 else 5


def _integer(number: Any) -> int:
    if number < 128:
        return 1
    if number < 1 << 8:
        return 2
    if number < 1 << 16:
        return 3
    return 5 if number < 1 << 32 else 9
