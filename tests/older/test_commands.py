"""Commands of format 1 come to the same in this version as in the one that wrote them: outcomes, revs, tables.

A log of before is read again after the upgrade, and while two versions work together each applies what the other wrote:
one refusal more or less and every later rev is another one.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tests.older import ROOT
from visor.protocol import verbs as v
from visord.state.command import encode
from visord.state.formats import OLDEST

pytestmark = pytest.mark.soak

APPLYING = Path(__file__).with_name("applying.py")
Entry = bytes | str


def command(*groups: list[Any], time: int = 1000) -> bytes:
    return bytes(encode(time, [[*group, ""] for group in groups], form=OLDEST))


def alone(*frames: Any, session: bytes | None = None, time: int = 1000) -> bytes:
    return command([session, "me", list(frames)], time=time)


def filled(count: int, where: str = "/d") -> list[Entry]:
    """Make `count` files in one directory."""
    return [
        alone(
            *(
                [v.SET, 1, 0, f"{where}/{number:06d}", b"v"]
                for number in range(start, min(start + 4096, count))
            )
        )
        for start in range(0, count, 4096)
    ]


def transaction(operations: list[Any], otherwise: Any = (), guards: Any = (), write: int = 1) -> list[Any]:
    return [v.TXN, write, 0, list(guards), operations, list(otherwise)]


def run(which: Path, commands: list[Entry], at: Path) -> Any:
    given, result = at / "commands", at / f"result-{which.name}"
    given.write_bytes(msgpack.packb(commands))
    environment = {**os.environ, "PYTHONPATH": str(which)}
    done = subprocess.run(
        [sys.executable, str(APPLYING), str(given), str(result)],
        env=environment,
        capture_output=True,
        check=False,
        cwd=at,
        timeout=300,
    )
    assert not done.returncode, done.stderr.decode()
    return msgpack.unpackb(result.read_bytes(), strict_map_key=False)


# -- what one write may be -----------------------------------------------------------------------------


def a_large_deletion() -> list[Entry]:
    return [*filled(20_000), alone([v.DELETE, 1, 0, "/d", True]), alone([v.SET, 1, 0, "/after", b"x"])]


def a_deletion_that_was_too_large() -> list[Entry]:
    return [
        *filled(65_537),
        alone([v.DELETE, 1, 0, "/d", True]),
        alone(transaction([[v.T_DELETE, "/d", True]])),
    ]


def many_deletions_in_a_transaction() -> list[Entry]:
    filling = [[v.SET, 1, 0, f"/many/{number // 10:04d}/{number % 10}", b""] for number in range(12_000)]
    doomed = [[v.T_DELETE, f"/many/{number:04d}", True] for number in range(1200)]
    return [
        *(alone(*filling[start : start + 4096]) for start in range(0, 12_000, 4096)),
        alone(transaction(doomed)),
    ]


def a_transaction_that_lists_much() -> list[Entry]:
    listed = [[v.T_SET, "/done", b"x"], [v.T_LIST, "/d"]]
    return [
        *filled(30_000),
        alone(transaction(listed)),
        alone(transaction(listed * 4)),
        alone(transaction(listed * 5)),
    ]


def a_transaction_that_lists_long_paths() -> list[Entry]:
    where = "/" + "é" * 120
    return [
        *filled(9000, where),
        alone(transaction([[v.T_SET, "/x", b""], *([v.T_LIST, where] for _ in range(3))])),
    ]


def many_new_directories() -> list[Entry]:
    deep = [[v.T_SET, f"/{number}" + "/a" * 30, b""] for number in range(3000)]
    return [
        alone(transaction(deep)),
        alone(transaction([[v.T_DELETE, f"/{number}", True] for number in range(3000)])),
    ]


def a_large_revert() -> list[Entry]:
    changed = [[v.SET, 1, 0, f"/d/{number:06d}", b"w"] for number in range(21_000)]
    changes = [alone(*changed[start : start + 4096]) for start in range(0, 21_000, 4096)]
    return [*filled(21_000), *changes, alone([v.REVERT, 1, 0, "/d", 21_000])]


# -- what is kept for clients ---------------------------------------------------------------------------


def many_leases() -> list[Entry]:
    granted = [alone(*([v.GRANT, 1, 0, 60_000] for _ in range(4000))) for _ in range(6)]
    mine = [alone([v.GRANT, 1, 0, 60_000], session=b"%06d" % number) for number in range(2000)]
    return [*granted, *mine, "checkpoint", alone([v.SET, 1, 0, "/l", b"", v.G_NONE, 0, 1])]


def many_sessions() -> list[Entry]:
    begun = [
        command(
            *(
                [b"%06d" % number, "me", [[v.SET, 1, 0, "/s", b"%d" % number]]]
                for number in range(start, start + 500)
            )
        )
        for start in range(0, 20_000, 500)
    ]
    # The one that wrote first is forgotten unless it writes in the command that brings one too many.
    both = command(
        [b"new", "me", [[v.SET, 1, 0, "/n", b""]]],
        [b"000000", "me", [[v.RETRY, 2, [v.SET, 2, 0, "/r", b""], 5]]],
    )
    lost = command(
        [b"newer", "me", [[v.SET, 1, 0, "/n", b""]]], [b"000001", "me", [[v.SET, 2, 0, "/q", b""]]]
    )
    retried = alone([v.RETRY, 3, [v.SET, 3, 0, "/o", b""], 0], session=b"000002")
    return [*begun, both, lost, retried, "checkpoint", retried]


def sessions_that_hold_much() -> list[Entry]:
    read = [[v.T_SET, "/r", b"x"], *([v.T_GET, "/d/000000"] for _ in range(200))]
    writes = [transaction(read, write=number) for number in range(1, 120)]
    return [
        *filled(1),
        *(alone(*writes, session=b"%03d" % number) for number in range(5)),
        *(alone([v.RETRY, 300, writes[7], 0], session=b"%03d" % number) for number in range(5)),
    ]


def reads_that_are_asked_again() -> list[Entry]:
    nothing = [
        transaction([[v.T_GET, f"/none/{number}"] for number in range(count)]) for count in (1, 17, 100)
    ]
    values = transaction([[v.T_GET, "/d/000000"] for _ in range(5)])
    frames = [*nothing, values]
    entries: list[Entry] = [*filled(1)]
    for number, frame in enumerate(frames):
        session = b"r%d" % number
        entries.append(alone(frame, session=session))
        entries += [alone([v.SET, 1, 0, "/none/0", b"now"]), alone([v.SET, 1, 0, "/d/000000", b"now"])]
        entries += ["checkpoint", alone([v.RETRY, 2, frame, 0], session=session)]
    return entries


# -- anything ---------------------------------------------------------------------------------------------


class Anything:
    """Commands of all kinds, right and wrong, on few paths."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.rev = 0
        self.writes: dict[bytes, list[list[Any]]] = {}

    def path(self) -> Any:
        parts = [self.rng.choice("abcd") for _ in range(self.rng.randint(1, 4))]
        return self.rng.choices(
            ["/" + "/".join(parts), "/", "a//b", "/" + "x" * 300, 7, None], [90, 2, 1, 1, 1, 1]
        )[0]

    def frame(self, write: int, acked: int) -> list[Any]:
        rng, path = self.rng, self.path()
        some = rng.randint(0, max(1, self.rev))
        guards: list[list[Any]] = [
            [],
            [v.G_NONE, 0],
            [v.G_REV, some],
            [v.G_MISSING, 0],
            [v.G_SINCE, some],
            [v.G_EXISTS, 0],
        ]
        operations = [self.operation() for _ in range(rng.randint(0, 6))]
        return rng.choice(
            (
                [v.SET, write, acked, path, b"%d" % some, *rng.choice(guards)],
                [v.SET, write, acked, path, b"", v.G_NONE, 0, rng.randint(0, 6)],
                [v.DELETE, write, acked, path, rng.choice((True, False)), *rng.choice(guards)],
                [
                    v.TXN,
                    write,
                    acked,
                    rng.choice(([], [[v.G_EXISTS, path, 0]])),
                    operations,
                    [self.operation()],
                ],
                [v.REVERT, write, acked, path, some],
                [
                    v.GRANT,
                    write,
                    acked,
                    rng.choice((1000, 60_000, 5)),
                    rng.choice((0, (1 << 48) + rng.randint(0, 9))),
                ],
                [v.REVOKE, write, acked, rng.randint(1, 6)],
                [v.EXPIRE_LEASE, write, acked, rng.randint(1, 6), 1],
                [v.NOP, write, acked],
                [v.RETAIN, write, acked, 0, 0, rng.choice((None, some))],
                [rng.randint(0, 60), write, acked, path],
                [],
            )
        )

    def operation(self) -> list[Any]:
        path, rng = self.path(), self.rng
        return rng.choice(
            (
                [v.T_SET, path, b"t"],
                [v.T_SET, path, b"t", rng.randint(0, 6)],
                [v.T_DELETE, path],
                [v.T_DELETE, path, True],
                [v.T_GET, path],
                [v.T_LIST, path],
                [9, path],
            )
        )

    def group(self) -> list[Any]:
        rng = self.rng
        session = rng.choice((None, b"a", b"b", b"c", b"%d" % rng.randint(0, 50)))
        known = self.writes.setdefault(session, []) if session is not None else []
        frames = []
        for _ in range(rng.randint(0, 5)):
            if known and rng.random() < 0.25:
                frames.append(
                    [v.RETRY, len(known) + 1, rng.choice(known), *rng.choice(([], [0], [self.rev]))]
                )
                continue
            made = self.frame(len(known) + 1, max(0, len(known) - rng.randint(0, 9)))
            known.append(made)
            frames.append(made)
            self.rev += 1
        return [session, "me", frames]

    def entries(self, count: int) -> list[Entry]:
        time, made = 1000, list[Entry]()
        for number in range(count):
            time += self.rng.choice((0, 5, 1000, 4_000_000 if number % 97 == 0 else 7))
            made.append(command(*(self.group() for _ in range(self.rng.randint(1, 4))), time=time))
            if number % 500 == 499:
                made.append("checkpoint")
        return made


CASES: list[Callable[[], list[Entry]]] = [
    a_large_deletion,
    a_deletion_that_was_too_large,
    many_deletions_in_a_transaction,
    a_transaction_that_lists_much,
    a_transaction_that_lists_long_paths,
    many_new_directories,
    a_large_revert,
    many_leases,
    many_sessions,
    sessions_that_hold_much,
    reads_that_are_asked_again,
    *(lambda seed=seed: Anything(seed).entries(1500) for seed in range(3)),  # type: ignore[misc]
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_command_of_before_comes_to_what_it_came_to(case: Any, before: Path, tmp_path: Path) -> None:
    commands = case()
    old, new = run(before, commands, tmp_path), run(ROOT, commands, tmp_path)
    assert len(old[0]) == len(new[0])
    entries = [one for one in commands if isinstance(one, bytes)]
    for entry, was, now in zip(entries, old[0], new[0], strict=True):
        assert was == now, msgpack.unpackb(entry[1:])
    assert old[1] == new[1]
