"""The manifest: what a node's newest checkpoint consists of, in one small file that is replaced atomically.

    magic 8 bytes | msgpack map | crc 4 bytes

It names the history files with their valid sizes and checksums, the log index and term up to which the
checkpoint holds everything, the rev, and the small tables of the machine (sessions, retention, ...). The
checkpoint before stays whole until the new manifest has taken its name: whatever happens, one of the two is
there.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack

from visord.storage.disk import Disk, join, read_all, write_atomic
from visord.storage.errors import RESTORE, DamageError, FormatError, IdentityError
from visord.storage.segments import Part

NAME: Final = "manifest"
FORMAT: Final = 1
_MAGIC: Final = b"VISORMAN"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checkpoint at log `index` of `term`: the state at `rev`.

    `parts` are the commit files, oldest first; `base` holds the files at rev `base_rev`, above which the
    commits count, and `base_time` is that commit's (None: there is no base, the history is whole). `number`
    is the highest file number used.
    """

    cluster: str
    index: int = 0
    term: int = 0
    rev: int = 0
    base_rev: int = 0
    base_time: int = 0
    number: int = 0
    base: Part | None = None
    parts: tuple[Part, ...] = ()
    tables: Any = field(default=None, repr=False)

    def files(self) -> list[Part]:
        """Return all parts, in the order of loading."""
        return [*([] if self.base is None else [self.base]), *self.parts]


def encode(manifest: Manifest) -> bytes:
    """Return the bytes of the manifest file."""
    fields = {
        "format": FORMAT,
        "cluster": manifest.cluster,
        "index": manifest.index,
        "term": manifest.term,
        "rev": manifest.rev,
        "base_rev": manifest.base_rev,
        "base_time": manifest.base_time,
        "number": manifest.number,
        "base": manifest.base,
        "parts": manifest.parts,
        "tables": manifest.tables,
    }
    data: bytes = _MAGIC + msgpack.packb(fields, use_bin_type=True)
    return data + zlib.crc32(data).to_bytes(4, "little")


def decode(data: bytes, path: str) -> Manifest:
    """Read the bytes of the file `path`. Raises `DamageError` or `FormatError`."""
    crc = zlib.crc32(data[:-4])
    if len(data) < 12 or data[:8] != _MAGIC or crc != int.from_bytes(data[-4:], "little"):
        found = f"{len(data)} bytes with {crc:#010x}"
        raise DamageError(path, 0, "a manifest with its checksum", found, RESTORE)
    fields = msgpack.unpackb(data[8:-4], raw=False, strict_map_key=False)
    if fields.pop("format") != FORMAT:
        raise FormatError(f"{path} has another format than {FORMAT}, which this version reads")
    base = fields.pop("base")
    return Manifest(
        base=None if base is None else Part(*base),
        parts=tuple(Part(*part) for part in fields.pop("parts")),
        **fields,
    )


def write(disk: Disk, directory: str, data: bytes) -> None:
    """Put encoded bytes in the place of the manifest. Durable on return; on failure the old one stays."""
    write_atomic(disk, directory, NAME, (data,))


def read(disk: Disk, directory: str, cluster: str | None) -> Manifest | None:
    """Return the manifest of a data directory, None when there is no checkpoint yet.

    Raises `DamageError`, `FormatError`, and `IdentityError` when it is not of `cluster` (None: any).
    """
    path = join(directory, NAME)
    if not disk.exists(path):
        return None
    manifest = decode(read_all(disk, path), path)
    if cluster is not None and manifest.cluster != cluster:
        raise IdentityError(f"{path} belongs to cluster {manifest.cluster}, the directory to {cluster}")
    return manifest
