"""What is proposed to the cluster: all writes that one node gathered, as one entry of the log.

    0x00 msgpack([FORMAT, time_ms, [[session, actor, frames], ...]])

The first byte is pysyncobj's mark of a regular entry. `frames` are write messages exactly as the decoder of
the wire gave them (plain lists, str, bytes, int): the proposing node applies what it holds in `batch`, the
others what they decode, and both must be the same.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgpack

FORMAT: Final = 1
MARK: Final = b"\x00"

Batch: TypeAlias = tuple[int, list[Any]]
"""`(time_ms, groups)`; the groups are not checked yet."""

_MAX_TIME = 1 << 62


class UnknownFormat(Exception):  # noqa: N818 - the name says what it is  # noqa: N818 - the name says what it is
    """A committed command has a format that this code does not know: the node must stop, not guess."""


class Command(bytes):
    """The bytes of a command, and what they say, where it is known already."""

    batch: Batch | None = None


def encode(time_ms: int, groups: list[Any]) -> Command:
    """Return the command for `groups`, decided at `time_ms` (ms since 1970 UTC).

    Group: `[session (bytes) or None, actor, frames]`. The groups are kept by reference in `.batch`: they
    belong to the command from now on, and must hold what a msgpack decoder gives (no tuples, no subclasses).
    """
    command = Command(MARK + msgpack.packb([FORMAT, time_ms, groups], use_bin_type=True))
    command.batch = (time_ms, groups)
    return command


def decode(data: bytes) -> Command:
    """Return `data` with `.batch` set, or left None when the bytes are no command of ours.

    Raises UnknownFormat when they are one of a later format.
    """
    command = Command(data)
    command.batch = read(data)
    return command


def read(data: bytes) -> Batch | None:
    """Return what `data` says, None when it says nothing. Raises UnknownFormat only."""
    if data[:1] != MARK:
        return None
    try:
        content = msgpack.unpackb(memoryview(data)[1:], raw=False, use_list=True, strict_map_key=True)
    except Exception:  # the decoder raises many kinds; each means that this is not a command
        return None
    if type(content) is not list or not content or type(content[0]) is not int:
        return None
    if content[0] != FORMAT:
        raise UnknownFormat(f"a command has format {content[0]}; this version of visord knows {FORMAT} only")
    if len(content) != 3 or type(content[1]) is not int or type(content[2]) is not list:
        return None
    return (content[1], content[2]) if 0 <= content[1] < _MAX_TIME else None
