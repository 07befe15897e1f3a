"""What is proposed to the cluster: all writes that one node gathered, as one entry of the log.

    0x00 msgpack([FORMAT, time_ms, [[session, actor, frames, owner], ...]])

The first byte is pysyncobj's sign of a regular entry. `frames` are write messages as the decoder of the wire gave
them. `owner` is where the client came from (the host of its address, or `unix:` and a user id): what somebody may
have of everything that is kept for clients is counted by it.

**What is logged is what is applied.** msgpack packs more than it reads (a list in 1025 lists, when the innermost is
empty), so a member that applied what it held could part from all others. A door lets in no message of more than 16
levels, and of the types that the decoder gives: that comes back from its bytes as it was (a test says so, for all that
a decoder lets in). Everything else, what another member sends on among it, is read back from the command's own bytes
before it is logged, and what was read is applied:

    batches -> packb -> the bytes, for log and members -> unpackb -> `.decoded`, what is applied here
                                                          fails: ValueError, nothing is proposed (`unfit` tells which)

**Nothing is skipped.** An entry with our first byte that is not exactly such a command raises UnknownFormat: the node
stops. What is odd *within* a batch (its actor, its session, a frame) is refused by the machine, frame by frame.

    format 1    [session, actor, frames]            read with the owner ""
    format 2    [session, actor, frames, owner]
    format 3    the same; the owner may be `user:NAME`, and each write is judged by what that user may do
    format 4    the same; more changes of who there is (`auth_store.LATER`), and redactions

Which one is written: `members/formats.py`.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgpack

from visord.state.formats import FORMAT, OLDEST, OWNERS, RIGHTS, SECRETS

FIRST_BYTE: Final = b"\x00"

BEGINNING: Final = b"\x00\x93"
"""Of every command: the first byte, and an array of three."""

OTHER_FIRST_BYTES: Final = frozenset((b"\x01", b"\x02"))
"""First bytes of entries that are not for the machine: a leader's empty entry, and a configuration."""

MAX_SESSION_ID: Final = 64
"""Bytes of a session's id."""
MAX_ACTOR: Final = 1024
"""Characters of an actor's name."""
MAX_OWNER: Final = 64
"""Characters of an owner."""
MAX_DEPTH: Final = 16
"""Levels of a write that another member sends on: as many as the door lets in from a client."""

WRITE_WEIGHT: Final = 256
"""Bytes that a write costs in memory beside what it is long on the wire; counted wherever writes wait."""

Decoded: TypeAlias = tuple[int, list[Any]]
"""`(time_ms, batches)`: each batch a list of four, the third of them a list."""

_MAX_TIME = 1 << 62
_WIDTHS: Final[dict[int, int]] = {OLDEST: 3, OWNERS: 4, RIGHTS: 4, SECRETS: 4}
"""Fields of a batch, by format."""
_CONTAINERS: Final = frozenset((list, dict))


class UnknownFormat(Exception):  # noqa: N818 - the name says what it is
    """A committed entry is not what this code knows: the node must stop, not guess and not skip."""


class Command(bytes):
    """The bytes of a command, and what they say, where it is known already."""

    decoded: Decoded | None = None


def encode(time_ms: int, batches: list[Any], *, judged: bool = False, form: int = FORMAT) -> Command:
    """Return the command for `batches`, decided at `time_ms` (ms since 1970 UTC), with `.decoded` as its bytes say.

    Batch: `[session (bytes) or None, actor, frames, owner]`. `judged`: a door has seen all frames, so they are not read
    back, which costs a write 4 %. `form`: the format; in the oldest one owners are left out. ValueError when the bytes
    cannot be had or would not be read by everybody: see `unfit`.
    """
    try:
        if form == OLDEST:
            packed = msgpack.packb(
                [OLDEST, time_ms, [[session, actor, frames] for session, actor, frames, _ in batches]],
                use_bin_type=True,
            )
            return decode(FIRST_BYTE + packed)
        command = Command(FIRST_BYTE + msgpack.packb([form, time_ms, batches], use_bin_type=True))
        command.decoded = (time_ms, batches) if judged and 0 <= time_ms < _MAX_TIME else read(command)
    except (TypeError, OverflowError, UnknownFormat) as error:
        raise ValueError(f"the command cannot be logged: {error}") from error
    return command


def decode(data: bytes) -> Command:
    """Return `data` with `.decoded` set. Raises UnknownFormat when the bytes are no command."""
    command = Command(data)
    command.decoded = read(data)
    return command


def format_of(command: bytes) -> int:
    """Return the format of what begins with FIRST_BYTE and is a command."""
    return command[2]


def read(data: bytes) -> Decoded:
    """Return what `data`, which begins with FIRST_BYTE, says. Raises UnknownFormat when it is not exactly a command."""
    try:
        content = msgpack.unpackb(memoryview(data)[1:], raw=False, use_list=True, strict_map_key=True)
    except MemoryError:
        raise  # this node's own trouble
    except Exception as error:  # the decoder raises many kinds; each means that this is not a command
        raise _not_one(data, f"{type(error).__name__}: {error!s:.80}") from error
    if type(content) is not list or not content or type(content[0]) is not int:
        raise _not_one(data, "it does not begin with its format")
    width = _WIDTHS.get(content[0])
    if width is None:
        raise UnknownFormat(f"a command has format {content[0]}; this version of visord knows 1 to {FORMAT}")
    if len(content) != 3 or type(content[1]) is not int or type(content[2]) is not list:
        raise _not_one(data, "it is not [format, time, batches]")
    time, batches = content[1], content[2]
    if not 0 <= time < _MAX_TIME:
        raise _not_one(data, f"its time is {time}")
    for batch in batches:
        if type(batch) is not list or len(batch) != width or type(batch[2]) is not list:
            raise _not_one(data, f"a batch is not a list of {width} with a list of writes")
        if width == 3:
            batch.append("")
    return time, batches


def unfit(frame: Any) -> bool:
    """Tell whether no command can carry `frame`, because its bytes would not be read as they were written."""
    try:
        encode(0, [[None, "", [frame], ""]])
    except ValueError:
        return True
    return False


def too_deep(frame: Any) -> bool:
    """Tell whether `frame` is nested deeper than any write of a client may be."""
    if type(frame) is list and _CONTAINERS.isdisjoint(map(type, frame)):
        return False
    level = [frame]
    for _ in range(MAX_DEPTH):
        level = [one for outer in level for one in _inside(outer) if type(one) in _CONTAINERS]
        if not level:
            return False
    return True


def well_formed(session: Any, actor: Any, frames: Any, owner: Any) -> bool:
    """Tell whether these are the fields of a batch that a member may send on."""
    return (
        (session is None or (type(session) is bytes and 0 < len(session) <= MAX_SESSION_ID))
        and type(actor) is str
        and len(actor) <= MAX_ACTOR
        and type(owner) is str
        and len(owner) <= MAX_OWNER
        and type(frames) is list
    )


def _inside(container: Any) -> Any:
    return container.values() if type(container) is dict else container if type(container) is list else ()


def _not_one(data: bytes, why: str) -> UnknownFormat:
    return UnknownFormat(f"an entry of {len(data)} bytes says that it is a command and is none: {why}")
