"""Clients choose most of a log's bytes. Whatever they choose, a start is linear, takes none for a frame and loses none.

The judge is not the clock: bytes that were summed and places that were looked at are counted.
"""

from __future__ import annotations

import base64
import itertools
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.storage.fake_disk import FakeDisk
from visord.raft import inspection, old_frames, records, recovery
from visord.raft.log import RaftLog
from visord.raft.old_frames import MAGIC, OldFrames
from visord.raft.records import (
    ENTRY,
    FRAME_SIZE,
    HEADER_SIZE,
    RECORD_SIZE,
    Frames,
    Header,
    new_header,
    pack_header,
    pack_record,
)
from visord.raft.segments import Options, segment_name
from visord.storage.errors import DamageError
from visord.storage.worker import Inline

DIRECTORY = "d"
FIRST = f"{DIRECTORY}/{segment_name(1)}"
SMALL = Options(segment=32 << 10, chunk=8 << 10, ahead=16 << 10, first=8 << 10, reserve=0, keep=0)
INLINE = Inline()
KEYS = random.Random(11)
"""One source for all that is opened here: no key or salt comes twice."""
SLACK = 4096
"""Bytes that are summed besides the log: mark, vote, headers."""

Entries = list[tuple[bytes, int, int]]


def open_log(disk: FakeDisk, options: Options = SMALL) -> RaftLog:
    return RaftLog.open(
        disk,
        DIRECTORY,
        options=options,
        sync=INLINE,
        background=INLINE,
        random32=lambda: KEYS.getrandbits(32),
    )


def new_disk() -> FakeDisk:
    disk = FakeDisk(random.Random(3))
    disk.mkdir(DIRECTORY)
    return disk


def put(log: RaftLog, *values: bytes) -> None:
    for value in values:
        log.add(value, log.last_index + 1, 1)
        log.flush()
    assert log.durable_index == log.last_index


def other(byte: int) -> bytes:
    """Return a byte that makes a frame which ends before it torn for certain."""
    return bytes([byte ^ 1])


@dataclass
class Work:
    """What reading a log cost."""

    summed: int = 0
    sums: int = 0


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    work = Work()

    def crc32(data: bytes, start: int = 0) -> int:
        work.summed += len(data)
        work.sums += 1
        return zlib.crc32(data, start)

    with monkeypatch.context() as patch:
        patch.setattr(records, "crc32", crc32)
        patch.setattr(old_frames, "crc32", crc32)
        yield work


def size_of(disk: FakeDisk) -> int:
    return sum(len(disk.read(name)) for name in disk.names if name.endswith(".log"))


def read_counted(disk: FakeDisk, monkeypatch: pytest.MonkeyPatch) -> tuple[Entries, Work]:
    """What `check`, `recover` and a start read, and the cost of the dearest of them."""
    with counted(monkeypatch) as looked:
        summary = inspection.inspect_log(disk, DIRECTORY)
    with counted(monkeypatch) as surveyed:
        entries = recovery.read(disk, DIRECTORY).entries
    with counted(monkeypatch) as started:
        log = open_log(disk)
    assert log[:] == entries
    assert (summary.first, summary.last) == (log.first_index, log.last_index)
    log.close()
    return entries, max(looked, surveyed, started, key=lambda work: work.summed)


# -- what a client may write ---------------------------------------------------------------------------------


def lengths(size: int) -> bytes:
    """A magic of format 1 every eight bytes, each with a length that ends at the end of the value."""
    pieces = [MAGIC + struct.pack("<I", max(0, size - at - 24)) for at in range(0, size, 8)]
    return b"".join(pieces)[:size]


def plausible(size: int) -> bytes:
    """The same, every 16 bytes, with a sequence that could come next."""
    pieces = [MAGIC + struct.pack("<IQ", max(0, size - at - 24), 4 + at // 400) for at in range(0, size, 16)]
    return b"".join(pieces)[:size]


def old_whole(size: int) -> bytes:
    """Whole frames of format 1, as somebody would guess them who knows everything but the salt."""
    frames = OldFrames(Header(1, 0, 1, bytes(8)))
    record = pack_record(ENTRY, 0, 2, 9)
    return b"".join(frames.pack(2 + n, 0, record)[0] + record for n in range(size // 48 + 1))[:size]


def guessed(size: int) -> bytes:
    """Whole frames of format 2 under guessed keys."""
    record = pack_record(ENTRY, 0, 2, 9)
    pieces = []
    for number in range(size // 56 + 1):
        frames = Frames(Header(2, number, 1, number.to_bytes(8, "little")))
        pieces.append(frames.pack(2 + number, 0, record)[0] + record)
    return b"".join(pieces)[:size]


def headers(size: int) -> bytes:
    """Segment headers, one after the other."""
    return (pack_header(Header(2, 5, 1, b"guess it")) * (size // 64 + 1))[:size]


HOSTILE: list[Callable[[int], bytes]] = [lengths, plausible, old_whole, guessed, headers]
every_value = pytest.mark.parametrize("value", HOSTILE, ids=lambda make: make.__name__)


# -- format 2 ------------------------------------------------------------------------------------------------


@every_value
def test_in_a_recycled_segment(value: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    disk = new_disk()
    log = open_log(disk)
    while log._segments.current.number < 6 or log._segments.offset > 9000:
        put(log, value(4000))
        log.trim(log.durable_index)
    put(log, b"last")
    current, offset = log._segments.current, log._segments.offset
    left = disk.read(current.file.path)[offset:]
    assert sum(map(bool, left)) > 5000, "the file was used before"
    wanted = log[:]
    log.close()
    found, work = read_counted(disk, monkeypatch)
    assert found[-len(wanted) :] == wanted
    assert work.summed <= size_of(disk) + SLACK
    put(log := open_log(disk), b"goes on")
    assert open_log(disk)[-1] == log[-1]


@every_value
@pytest.mark.parametrize("marked", [True, False], ids=["with its mark", "without"])
def test_behind_the_end_of_the_log(
    value: Callable[[int], bytes], marked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = new_disk()
    log = open_log(disk)
    put(log, b"a", b"b" * 300)
    wanted, end = log[:], log._segments.offset
    log.close()
    if not marked:
        disk.unlink(f"{DIRECTORY}/mark")
    disk.put(FIRST, disk.read(FIRST)[:end] + value(1 << 20))
    found, work = read_counted(disk, monkeypatch)
    assert found == wanted
    assert work.summed <= end + SLACK


@every_value
def test_within_a_torn_frame(value: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    disk = new_disk()
    log = open_log(disk)
    put(log, b"a", b"b")
    wanted, before, start = log[:], disk.copy(), log._segments.offset
    put(log, value(7000))
    end = log._segments.offset
    whole = disk.read(FIRST)
    log.close()
    for cut in (start + 1, start + 20, start + FRAME_SIZE, start + 1000, (start + end) // 2, end - 1):
        torn = before.copy()
        torn.put(
            FIRST, whole[:cut] + other(whole[cut]) + value(4 * len(whole))
        )  # and a former use's bytes behind it
        found, work = read_counted(torn, monkeypatch)
        assert found == wanted
        assert work.summed <= len(torn.read(FIRST)) + SLACK
        # The other way round: its head was lost, its records came through.
        torn = before.copy()
        torn.put(FIRST, whole[:start] + bytes(cut - start) + whole[cut:])
        found, work = read_counted(torn, monkeypatch)
        assert found == wanted
        assert work.summed <= len(whole) + SLACK
        put(again := open_log(torn), b"c")
        assert open_log(torn)[:] == again[:] == [*wanted, (b"c", again.last_index, 1)]


def test_what_stands_after_damage_is_found_among_hostile_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the mark, too: a frame whose successor began was durable, even if that one is damaged as well."""
    disk = new_disk()
    log = open_log(disk)
    put(log, *(make(1200) for make in HOSTILE), b"the one before", b"the last one")
    log.close()
    disk.unlink(f"{DIRECTORY}/mark")
    ends = [HEADER_SIZE]
    frames = recovery.read(disk, DIRECTORY).pieces[0].frames
    while (frame := frames.at(disk.read(FIRST), ends[-1])) is not None:
        ends.append(frame[0].end)
    for start, end in itertools.pairwise(ends[:-1]):
        for position in (start, start + 9, start + 13, start + 22, start + 30, end - 1):
            broken = disk.copy()
            broken.flip(FIRST, position * 8)
            broken.flip(FIRST, (ends[-1] - 1) * 8)
            with counted(monkeypatch) as work, pytest.raises(DamageError) as caught:
                open_log(broken)
            assert caught.value.offset == start
            assert work.summed <= size_of(disk) + SLACK


def test_frames_of_a_former_use_are_nothing_even_if_they_would_continue_the_log() -> None:
    """Somebody read a segment's bytes, and its file is used again: the next use has another key."""
    old, new = new_header(1, lambda: KEYS.getrandbits(32)), new_header(1, lambda: KEYS.getrandbits(32))
    record = pack_record(ENTRY, 1, 2, 1) + b"x"
    head, crc = Frames(new).pack(1, 0, record)
    stale = Frames(old).pack(2, crc, record)[0] + record
    data = pack_header(new) + head + record + stale
    end = len(data) - len(stale)
    assert Frames(new).at(data, HEADER_SIZE) is not None
    assert Frames(new).at(data, end) is None
    assert Frames(new).later(data, end, 1, 0) is None
    assert Frames(new).torn(data, end, 2) == 0


def test_keys_and_salts_are_drawn_for_each_use() -> None:
    disk = new_disk()
    log = open_log(disk)
    seen = set()
    while log._segments.current.number < 9:
        put(log, bytes(3000))
        log.trim(log.durable_index)
        path = log._segments.current.file.path
        header = records.unpack_header(disk.read(path))
        assert header is not None
        seen.add((header.number, header.salt, header.key))
    assert len(seen) == len({salt for _, salt, _ in seen}) == len({key for _, _, key in seen}) == 9


# -- format 1: directories of before ---------------------------------------------------------------------------

RECORDED = {
    # Entries 1 to 7, written by commit a3d5847: `b"entry %d " % index * index`, in a segment of 2 KiB.
    f"{segment_name(1)}": (
        "c-jl|4E7K5@porrU|{&VF;xjf6ASW^McKmAf|g4F*~t1<wiR<RL)qx&fz)dNX(lAKcN@76gVYHiiNo}z=9LsxDi|riXpnvbpg7EYkX~ipv*$tTC6L5X"
        "^&2ao(;#y!fbuL*bs#fdm&wb6^eG^Tqncx)fQts1=Kxg43RMp>tL@g_7La}oBym*pOce;xAagx{>e-<BKxXoLoQMONV}K-%YOa|Au{6m10H8j0sD6;yj"
        "+?$Sg3Pl(5=S-PT!B=YVHAvlVF&;tsC01"
    ),
    "mark": (
        "c-rmPu?c`M00h8jp*y*OhzJp!!C72HO9!yFaVd)=jT;De&BK@9{nF1<9OKZ2q{_M0DNBE!+Y<l)0Dxaw^8ar>|3BpaU;1u8E^7e*0Kh-JZsZD+"
    ),
    "vote": "c-rmPu@QhE5CB0ekLYKF`P{~Az#<4~%fN&daCVcc;j*?kGx||JYp-X_y8r+H0J}^74*&oFzxM(yVGDl",
}


def recorded() -> FakeDisk:
    disk = new_disk()
    for name, data in RECORDED.items():
        disk.put(f"{DIRECTORY}/{name}", zlib.decompress(base64.b85decode(data)))
    return disk


def old_end(disk: FakeDisk) -> int:
    piece = recovery.read(disk, DIRECTORY).pieces[0]
    assert type(piece.frames) is OldFrames
    return piece.end


def test_a_directory_of_before_is_read_and_goes_on_in_both_formats() -> None:
    disk = recorded()
    options = Options(segment=2048, chunk=512, ahead=700, first=256, reserve=0, keep=1 << 20)
    log = open_log(disk, options)
    assert log[1:] == [(b"entry %d " % index * index, index, 1) for index in range(2, 8)]
    assert (log.getCurrentTerm(), log.getVotedForNodeId()) == (1, "a")
    for number in range(40):
        put(log, b"%d" % number * 60)
        again = open_log(disk.copy(), options)
        assert again[:] == log[:]
        assert again.durable_index == log.last_index
    versions = [
        header.version
        for name in sorted(disk.names)
        if name.endswith(".log") and (header := records.unpack_header(disk.read(name))) is not None
    ]
    assert versions == sorted(versions)
    assert versions[0] == 1 and versions[-1] == 2


def test_a_directory_of_before_cut_or_flipped_at_every_byte_is_refused() -> None:
    disk = recorded()
    end = old_end(disk)
    whole = disk.read(FIRST)
    for position in range(end):
        broken = disk.copy()
        broken.flip(FIRST, position * 8 + position % 8)
        with pytest.raises(DamageError):
            open_log(broken)
        broken = disk.copy()
        broken.put(FIRST, whole[:position])
        with pytest.raises(DamageError):
            open_log(broken)
    disk.unlink(f"{DIRECTORY}/mark")
    last = whole.rindex(MAGIC, 0, end)
    for position in range(last):
        broken = disk.copy()
        broken.flip(FIRST, position * 8 + position % 8)
        with pytest.raises(DamageError):
            open_log(broken)


class Searched(bytes):
    """Bytes that count how often they are searched."""

    places = 0

    def find(self, *args: Any) -> int:
        Searched.places += 1
        return super().find(*args)


@every_value
@pytest.mark.parametrize("marked", [True, False], ids=["with its mark", "without"])
def test_behind_the_end_of_a_log_of_before(
    value: Callable[[int], bytes], marked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = recorded()
    end = old_end(disk)
    wanted = recovery.read(disk, DIRECTORY).entries
    if not marked:
        disk.unlink(f"{DIRECTORY}/mark")
    disk.put(FIRST, disk.read(FIRST)[:end] + value(1 << 20))
    found, work = read_counted(disk, monkeypatch)
    assert found == wanted
    assert work.summed <= 4 * size_of(disk) + SLACK
    assert work.sums <= size_of(disk) // 24
    Searched.places = 0
    data = Searched(disk.read(FIRST))
    header = records.unpack_header(data)
    assert header is not None
    assert OldFrames(header).later(data, end, 7, 0) is None
    assert Searched.places <= len(data) // (OldFrames.size + RECORD_SIZE) + 2


@every_value
def test_within_a_torn_frame_of_before(
    value: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = recorded()
    wanted, before, start = recovery.read(disk, DIRECTORY).entries, disk.copy(), old_end(disk)
    put(log := open_log(disk, Options(segment=32 << 10, keep=1 << 20, reserve=0)), value(20_000))
    end = log._segments.offset
    assert log._segments.current.number == 1
    whole = disk.read(FIRST)
    log.close()
    for cut in (start + OldFrames.size, start + 1000, (start + end) // 2, end - 1):
        torn = before.copy()
        torn.put(FIRST, whole[:cut] + other(whole[cut]) + value(8 * len(whole)))
        found, work = read_counted(torn, monkeypatch)
        assert found == wanted
        assert work.summed <= 4 * size_of(torn) + SLACK


@every_value
def test_damage_of_a_log_of_before_is_found_among_hostile_values(value: Callable[[int], bytes]) -> None:
    """Without its mark: the unreadable frame tells where the next one stands, whatever fills the rest."""
    disk = recorded()
    log = open_log(disk, Options(segment=32 << 10, keep=1 << 20, reserve=0))
    start = log._segments.offset
    put(log, value(9000), value(9000), b"last")
    end = log._segments.offset
    log.close()
    disk.unlink(f"{DIRECTORY}/mark")
    disk.put(FIRST, disk.read(FIRST)[:end] + value(1 << 20))
    for position in (start + 20, start + 24, start + 5000, start + 9000):
        broken = disk.copy()
        broken.flip(FIRST, position * 8)
        with pytest.raises(DamageError) as caught:
            open_log(broken)
        assert caught.value.offset == start
