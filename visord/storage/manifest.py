"""The manifest: what a node's newest checkpoint consists of, in one small file that is replaced atomically.

    magic 8 bytes | msgpack map | crc 4 bytes

It names the history files with their valid sizes and checksums, the log index and term up to which the
checkpoint holds everything, the rev, the members of the cluster as of that index, and the machine's tables, whose
rows (sessions, leases) are in a file of their own. The checkpoint before stays whole until the new manifest has taken
its name: whatever happens, one of the two is there.

Format 2 is written. Format 1, which is read, had no `config`, and the rows among its `tables` instead of in `rows`.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgpack

from visord.storage.disk import TEMPORARY, Disk, join, put_in_place, read_all, write_atomic, write_beside
from visord.storage.errors import RESTORE, DamageError, FormatError, IdentityError
from visord.storage.segments import BASE, COMMITS, HEADER_SIZE, KEYFRAME, TABLES, Part, part_name

NAME: Final = "manifest"
FORMAT: Final = 2
OLDEST_FORMAT: Final = 1
_MAGIC: Final = b"VISORMAN"
MANIFEST_BYTES: Final = 64 << 20
"""About 60 bytes a history file; format 1 held a thousand times as much at most."""
_TAG: Final = re.compile(r"(-[0-9a-f]+)?")
"""What a part's name has behind kind and number: the tag of a fetched one, see `pending.py`."""
_NUMBERS: Final = ("index", "term", "rev", "base_rev", "base_time", "number")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checkpoint at log `index` of `term`: the state at `rev`.

    `parts` are the commit files, oldest first; `base` holds the files at rev `base_rev`, above which the
    commits count, and `base_time` is that commit's (None: there is no base, the history is whole). `number`
    is the highest file number used. `config` are the members at `index`, as the engine encodes them (None: the
    checkpoint is from before there were clusters, or the node had none). `rows` holds the rows of the tables, None
    when there are none.
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
    rows: Part | None = None
    keyframe: Part | None = None
    """The state at rev `last` with the index of its history from `first` on, for a quick start: commits up to there
    need not be read. This node's own, never another's."""
    tables: Any = field(default=None, repr=False)
    config: bytes | None = field(default=None, repr=False)
    redacted: int = 0
    """How many redactions its files have behind them: those of another number may hold other values at one rev."""

    def files(self) -> list[Part]:
        """Return all parts, in the order of loading."""
        found = (self.base, *self.parts, self.rows, self.keyframe)
        return [part for part in found if part is not None]


def encode(manifest: Manifest) -> bytes:
    """Return the bytes of the manifest file."""
    fields = {
        "format": FORMAT,
        "cluster": manifest.cluster,
        **{name: getattr(manifest, name) for name in _NUMBERS},
        "base": manifest.base,
        "parts": manifest.parts,
        "rows": manifest.rows,
        "tables": manifest.tables,
        "config": manifest.config,
        **({"redacted": manifest.redacted} if manifest.redacted else {}),
        **({"keyframe": manifest.keyframe} if manifest.keyframe is not None else {}),
    }
    data: bytes = _MAGIC + msgpack.packb(fields, use_bin_type=True)
    return data + zlib.crc32(data).to_bytes(4, "little")


def decode(data: bytes, path: str) -> Manifest:
    """Read the bytes of the file `path`. Raises `DamageError` or `FormatError`.

    Another member may have made them: every field is checked, so that nothing but a manifest gets through.
    """
    crc = zlib.crc32(data[:-4])
    if len(data) < 12 or data[:8] != _MAGIC or crc != int.from_bytes(data[-4:], "little"):
        found = f"{len(data)} bytes with {crc:#010x}"
        raise DamageError(path, 0, "a manifest with its checksum", found, RESTORE)
    try:
        fields = msgpack.unpackb(memoryview(data)[8:-4], raw=False, strict_map_key=False)
        known = fields["format"]
        if type(known) is not int or not OLDEST_FORMAT <= known <= FORMAT:
            raise FormatError(f"{path} has format {known!r:.20}, this version reads up to {FORMAT}")
        return _manifest(fields)
    except (ValueError, TypeError, LookupError) as error:
        found = f"{type(error).__name__}: {error}"
        raise DamageError(path, 0, "the fields of a manifest", f"{found:.200}", RESTORE) from error


def decode_foreign(data: bytes, path: str) -> Manifest:
    """Read another member's manifest; without its keyframe, which would be loaded without another look."""
    return replace(decode(data, path), keyframe=None)


def _manifest(fields: dict[str, Any]) -> Manifest:
    numbers = {name: fields[name] for name in _NUMBERS}
    for name, value in numbers.items():
        if type(value) is not int or not 0 <= value < 1 << 63:
            raise ValueError(f"{name} is {value!r:.40}")
    cluster, config = fields["cluster"], fields.get("config")
    if type(cluster) is not str or not (config is None or type(config) is bytes):
        raise ValueError("no cluster's id, or odd members")
    redacted = fields.get("redacted", 0)
    if type(redacted) is not int or not 0 <= redacted < 1 << 63:
        raise ValueError(f"redacted is {redacted!r:.40}")
    return Manifest(
        cluster,
        **numbers,
        redacted=redacted,
        base=_optional(fields["base"], BASE),
        parts=tuple(_part(row, COMMITS) for row in fields["parts"]),
        rows=_optional(fields.get("rows"), TABLES),
        keyframe=_optional(fields.get("keyframe"), KEYFRAME),
        tables=fields["tables"],
        config=config,
    )


def _optional(row: Any, kind: int) -> Part | None:
    return None if row is None else _part(row, kind)


def _part(row: Any, kind: int) -> Part:
    part = Part(*row)
    if any(type(number) is not int or not 0 <= number < 1 << 63 for number in part[1:]):
        raise ValueError(f"not a part: {row!r:.80}")
    name = part_name(kind, part.number)
    if part.kind != kind or part.size < HEADER_SIZE or part.name[: len(name)] != name:
        raise ValueError(f"not a part: {row!r:.80}")
    if not _TAG.fullmatch(part.name, len(name)):
        raise ValueError(f"not the name of a part: {part.name!r:.80}")
    return part


def write(disk: Disk, directory: str, data: bytes) -> None:
    """Put encoded bytes in the place of the manifest. Durable on return; on failure the old one stays."""
    write_atomic(disk, directory, NAME, (data,))


def prepare(disk: Disk, directory: str, data: bytes) -> None:
    """Write encoded bytes durably beside the manifest, for `place`."""
    write_beside(disk, directory, NAME, (data,))


def place(disk: Disk, directory: str) -> None:
    """Put what `prepare` wrote in the place of the manifest. Durable on return; on failure the old one stays."""
    put_in_place(disk, directory, NAME)


def discard(disk: Disk, directory: str) -> None:
    """Remove what `prepare` wrote."""
    disk.unlink(join(directory, NAME + TEMPORARY))


def read(disk: Disk, directory: str, cluster: str | None) -> Manifest | None:
    """Return the manifest of a data directory, None when there is no checkpoint yet.

    Raises `DamageError`, `FormatError`, and `IdentityError` when it is not of `cluster` (None: any).
    """
    path = join(directory, NAME)
    if not disk.exists(path):
        return None
    manifest = decode(read_all(disk, path, MANIFEST_BYTES), path)
    if cluster is not None and manifest.cluster != cluster:
        raise IdentityError(f"{path} belongs to cluster {manifest.cluster}, the directory to {cluster}")
    return manifest
