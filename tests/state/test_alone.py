"""A batch of one plain SET is applied in one go: the same commands, with that way and without, come to the same."""

from __future__ import annotations

import random
from typing import Any
from unittest.mock import patch

import pytest

from visor.protocol import verbs
from visor.protocol.limits import Limits
from visord.state import command
from visord.state.digest import state_hash
from visord.state.fields import MAX_INT
from visord.state.formats import FORMAT, RIGHTS
from visord.state.machine import Machine
from visord.state.refusal import Refusal

SMALL = Limits(value=16)
CI = "user:ci/k3x9q2mv7a"
AUTHORS = ("10.0.0.7", "10.0.0.8", CI, "user:boss/")
BEGIN: list[tuple[str, dict[str, Any]]] = [
    ("set_user", {"name": "boss", "roles": ["root"]}),
    ("set_role", {"name": "deployer", "grants": [["write", [verbs.SEL_TREE, "/a"]]]}),
    ("set_user", {"name": "ci", "roles": ["deployer"]}),
    ("add_token", {"id": "k3x9q2mv7a", "user": "ci", "digest": b"d" * 32, "ttl": 40}),
]
CLOSED = ("set_user", {"name": "anonymous", "roles": []})
CHANGES: list[tuple[str, dict[str, Any]]] = [
    CLOSED,
    ("set_user", {"name": "anonymous", "roles": ["root"]}),
    ("set_user", {"name": "anonymous", "roles": ["deployer"]}),
    ("set_user", {"name": "ci", "roles": []}),
    ("set_user", {"name": "ci", "roles": ["deployer"]}),
    ("revoke_token", {"id": "k3x9q2mv7a"}),
]

PATHS = ("/a/x", "/a/x", "/a/y", "/b", "/b", "/a", "/new", "//")
VALUES = (b"", b"value", b"other", b"value", b"too long to be a value", "text")
ODD: tuple[Any, ...] = (
    [],
    7,
    [verbs.SET],
    [verbs.SET, 0, 0, "/b", b""],
    [verbs.SET, 2, 3, "/b", b""],
    [verbs.SET, 2, -1, "/b", b""],
    [True, 1, 0, "/b", b""],
    [verbs.DELETE, 5, 0, "/b"],
    [verbs.DELETE, 6, 0, "/a/x"],
)


class Dice:
    """Commands as dice fall: mostly what is done in one go, and whatever is nearly that."""

    def __init__(self, seed: int, *, rights: bool) -> None:
        self.dice = random.Random(seed)
        self.id = 1
        self.rights = rights

    def commands(self) -> list[Any]:
        dice = self.dice
        return [
            (dice.randint(1, 6), dice.choice([FORMAT, FORMAT, FORMAT, RIGHTS]), self.batches())
            for _ in range(dice.randint(2, 10))
        ]

    def batches(self) -> list[Any]:
        return [
            self.change() if self.rights and self.dice.random() < 0.06 else self.batch() for _ in range(8)
        ]

    def change(self) -> list[Any]:
        return [None, "boss", [[verbs.AUTH, 1, 0, *self.dice.choice(CHANGES)]], ""]

    def batch(self) -> list[Any]:
        dice = self.dice
        author = dice.choice(AUTHORS)
        session = dice.choice([b"one", None, b"", b"s" * 65]) if dice.random() < 0.1 else session_of(author)
        actor = dice.choice(["you", "x" * 1025, 5]) if dice.random() < 0.2 else "me"
        return [session, actor, [self.frame() for _ in range(dice.choice([1, 1, 1, 1, 2]))], author]

    def frame(self) -> Any:
        dice = self.dice
        if dice.random() < 0.1:
            return dice.choice(ODD)
        self.id += 1
        write = max(1, self.id - dice.choice([0, 0, 0, 0, 1, 8]))
        acked = -1 if dice.random() < 0.05 else max(0, write - dice.choice([0, 1, 2, 9]))
        frame = [verbs.SET, write, acked, dice.choice(PATHS), dice.choice(VALUES), *self.guard()]
        return [verbs.RETRY, write, frame] if dice.random() < 0.1 else frame

    def guard(self) -> list[Any]:
        dice = self.dice
        if dice.random() < 0.5:
            return []
        if dice.random() < 0.1:
            return dice.choice(
                [[1], [False, 0], [1, True], [verbs.G_SINCE, MAX_INT + 1], [verbs.G_SINCE, None]]
            )
        return [dice.choice(range(6)), dice.choice([-1, *range(1, 12), MAX_INT])]


def session_of(author: str) -> bytes:
    return author.encode()[:9]


def told(outcome: Any) -> Any:
    return (outcome.code, outcome.text, outcome.details) if isinstance(outcome, Refusal) else outcome


def played(commands: list[Any], *, rights: bool = True) -> list[Any]:
    """Return what each write was told, and the state in the end."""
    machine, time = Machine(SMALL), 1_000
    paths = [[verbs.SET, number, 0, path, b"v"] for number, path in enumerate(("/a/x", "/a/y", "/b"), 1)]
    begin = [[None, "boss", [[verbs.AUTH, 1, 0, *change]], ""] for change in BEGIN if rights]
    greetings = [[session_of(author), "me", [[verbs.NOP, 1, 0]], author] for author in AUTHORS]
    found: list[Any] = []
    for passes, form, batches in [
        (0, FORMAT, [*begin, *greetings, [b"one", "me", paths, "user:boss/"]]),
        *commands,
    ]:
        time += passes
        entry = bytes(command.encode(time, batches, form=form))
        found += [[told(one) for one in outcomes] for outcomes in machine.apply(machine.index + 1, 1, entry)]
    store = machine.store
    history = [(commit[1], commit[2]) for commit in store.commits(1, store.rev)]
    kept = (machine.sessions.export(), machine.sessions.held, machine.sessions.total, store.held)
    return [found, state_hash(store), history, kept]


@pytest.mark.parametrize("rights", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_done_in_one_go_is_what_would_be_done_otherwise(seed: int, rights: bool) -> None:
    for each in range(60):
        commands = Dice(1000 * seed + each, rights=rights).commands()
        alone = played(commands, rights=rights)
        with patch.object(Machine, "_lone", lambda machine, batch: None):
            assert played(commands, rights=rights) == alone


def test_a_token_proves_its_user_until_it_runs_out_and_no_command_longer() -> None:
    write = [[b"s", "me", [[verbs.SET, number, 0, "/a/x", b"v"]], CI] for number in range(1, 5)]
    commands = [
        (1, FORMAT, [write[0]]),
        (1, FORMAT, [write[1]]),
        (40, FORMAT, [write[2]]),
        (1, FORMAT, [write[3]]),
    ]
    found = played(commands)[0][-4:]
    assert [type(outcomes[0]) is tuple and outcomes[0][0] for outcomes in found] == [
        False,
        False,
        "denied",
        "denied",
    ]


def test_rights_that_change_within_a_command_count_from_the_next_batch_on() -> None:
    write = [[b"s", "me", [[verbs.SET, number, 0, "/a/x", b"v"]], "10.0.0.7"] for number in range(1, 4)]
    closing = [None, "boss", [[verbs.AUTH, 1, 0, *CLOSED]], ""]
    first, second, _, third = played([(1, FORMAT, [write[0], write[1], closing, write[2]])])[0][-4:]
    assert (type(first[0]), type(second[0]), third[0][0]) == (int, int, "denied")
