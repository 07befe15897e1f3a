"""What a node is fetching: the note that lets it go on after a restart.

A member that lags fetches files of another one's checkpoint into its own `history/`, under names of its own, and
the file `incoming` in the data directory says which ones they are:

    magic 8 bytes | msgpack [format, source, tag, manifest] | crc 4 bytes

`manifest` is the other member's, as it is; `tag` is the log index of the first offer of this fetch, or one above all
tags in `history/` where that is more: a fetch may end with an older checkpoint than it began with, and then its first
offer comes again. The sender's part `commits-000000000007` becomes `commits-000000000007-<tag><crc of the sender's
name>` here: a name that the own checkpoints never use (they have no second part), nor an earlier fetch whose files are
still there (its tag was lower), nor another file of the sender's with the same number.

The note is only a hint. What it names is checked byte by byte before it counts; without it, or when it is damaged,
those files are swept and fetched again.
"""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

import msgpack

from visord.storage import manifest as manifests
from visord.storage.disk import Disk, join, read_all, write_atomic
from visord.storage.errors import StorageError
from visord.storage.manifest import Manifest
from visord.storage.segments import Part, part_name

NAME: Final = "incoming"
FORMAT: Final = 1
_MAGIC: Final = b"VISORINC"
NOTE_BYTES: Final = manifests.MANIFEST_BYTES + 4096


class PendingFetch(NamedTuple):
    """A checkpoint that is being fetched."""

    source: str
    """The member that is asked."""
    tag: int
    manifest: Manifest
    encoded: bytes
    """The manifest as it came."""

    def local(self, part: Part) -> Part:
        """Return a part of the manifest under the name that it gets here."""
        suffix = f"{self.tag:x}{zlib.crc32(part.name.encode()):08x}"
        return part._replace(name=f"{part_name(part.kind, part.number)}-{suffix}")

    def names(self) -> set[str]:
        """Return the names of all files that fetching it may have made."""
        return {self.local(part).name for part in self.manifest.files()}


def tag_of(name: str) -> int:
    """Return the tag of the fetch that brought the file of this name; 0 for one that was written here."""
    _, _, *suffix = name.split("-")
    return int(suffix[0][:-8] or "0", 16) if suffix else 0


def write(disk: Disk, directory: str, pending: PendingFetch) -> None:
    """Put the note in its place. Durable on return."""
    data = _MAGIC + msgpack.packb([FORMAT, pending.source, pending.tag, pending.encoded], use_bin_type=True)
    write_atomic(disk, directory, NAME, (data, zlib.crc32(data).to_bytes(4, "little")))


def read(disk: Disk, directory: str) -> PendingFetch | None:
    """Return what the note says; None when there is none, or nothing that can be understood."""
    path = join(directory, NAME)
    if not disk.exists(path):
        return None
    data = read_all(disk, path, NOTE_BYTES)
    if len(data) < 12 or data[:8] != _MAGIC or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        return None
    try:
        known, source, tag, encoded = msgpack.unpackb(memoryview(data)[8:-4])
        if known != FORMAT:
            return None
        return PendingFetch(source, tag, manifests.decode_foreign(encoded, path), encoded)
    except (ValueError, TypeError, StorageError):
        return None


def remove(disk: Disk, directory: str) -> None:
    """Take the note away; nothing happens when there is none."""
    path = join(directory, NAME)
    if disk.exists(path):
        disk.unlink(path)
