"""Messages of every verb: right ones, and right ones with something wrong in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import msgpack

from visor.protocol import verbs as v

PATHS = [f"/fuzz/{branch}/{leaf}" for branch in "abcde" for leaf in "stuvwxyz"]
"""What is written. Nothing above `/fuzz/<branch>` is ever named in a delete or a revert."""
BRANCHES = ["/fuzz/a", "/fuzz/b/s", "/fuzz/c", "/fuzz/none"]
LAYOUTS: dict[int, list[str]] = {
    v.HELLO: ["hello"],
    v.PING: [],
    v.CANCEL: ["id"],
    v.GET: ["path", "at", "mode"],
    v.STAT: ["path", "at", "mode"],
    v.LIST: ["place", "at", "mode", "cursor", "limit", "options"],
    v.SCAN: ["selector", "at", "mode", "cursor", "limit", "options"],
    v.REV: ["mode"],
    v.LOG: ["selector", "rev", "rev", "limit", "options"],
    v.DIFF: ["selector", "rev", "rev", "cursor", "limit"],
    v.AT: ["time"],
    v.STATUS: [],
    v.LEASES: ["lease cursor", "limit"],
    v.SET: ["acked", "path", "value", "guard", "rev", "lease", "note"],
    v.DELETE: ["acked", "branch", "flag", "guard", "rev", "note"],
    v.TXN: ["acked", "guards", "operations", "operations", "note"],
    v.REVERT: ["acked", "branch", "rev", "at", "note"],
    v.NOP: ["acked"],
    v.GRANT: ["acked", "ttl", "wanted"],
    v.REVOKE: ["acked", "lease", "note"],
    v.KEEPALIVE: ["leases"],
    v.LEASE: ["lease"],
    v.RETRY: ["write"],
    v.WATCH: ["selector", "at", "flags", "kinds", "window"],
    v.UNWATCH: ["id"],
    v.CREDIT: ["size"],
    v.PROGRESS: [],
}
"""The fields after the id. RETAIN is left out: what is kept decides what other clients may read."""


class Maker:
    """Makes messages from one source of randomness."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.last = 1
        # Few: who acknowledges nothing is remembered with thousands of outcomes, by design.
        self.sessions = [bytes([number] * 16) for number in range(6)]
        pick = rng.choice
        self._fields: dict[str, Callable[[], Any]] = {
            "hello": self.hello,
            "id": lambda: rng.randint(1, self.last + 3),
            "acked": lambda: self.last,
            "path": lambda: (
                pick(PATHS) if rng.random() < 0.9 else pick(["/", "/fuzz", "/fuzz/a", "/x" * 400])
            ),
            "branch": lambda: pick(BRANCHES),
            "place": lambda: pick(["/", "/fuzz", *BRANCHES]),
            "value": self.value,
            "at": lambda: pick([None, None, None, 0, 1, rng.randrange(5000), 1 << 62]),
            "rev": lambda: pick([0, 1, rng.randrange(5000)]),
            "mode": lambda: rng.randrange(2),
            "cursor": lambda: pick([None, None, "x", "/fuzz/a/s"]),
            "limit": lambda: pick([0, 1, 10, 1 << 40]),
            "options": lambda: {pick(["keys", "count", "reverse", "values", "previous"]): rng.random() < 0.5},
            "time": lambda: pick([0, 1 << 40, 1 << 62]),
            "guard": lambda: rng.randrange(5),
            "lease": lambda: pick([0, 0, 0, 1, rng.randrange(300), 1 << 48]),
            "leases": lambda: [rng.randrange(300) for _ in range(rng.randrange(5))],
            "lease cursor": lambda: pick([None, None, "5"]),
            "ttl": lambda: pick([1000, 1500]),
            "wanted": lambda: pick([0, 0, 0, (1 << 48) + rng.randrange(5)]),
            "note": lambda: pick([None, "", "a note", "é" * 100]),
            "flag": lambda: rng.random() < 0.5,
            "flags": lambda: rng.randrange(8),
            "kinds": lambda: rng.choice([30, 2, 4, 8, 16]),
            "window": lambda: pick([0, 0, 1, 1000, 1 << 40]),
            "size": lambda: pick([1, 1000, 1 << 40]),
            "selector": self.selector,
            "guards": lambda: [self.guard() for _ in range(rng.randrange(3))],
            "operations": lambda: [self.operation() for _ in range(rng.randrange(4))],
            "write": lambda: self.message(pick([v.SET, v.DELETE, v.TXN, v.REVERT, v.NOP, v.GRANT])),
        }

    # -- right --------------------------------------------------------------------------------------------

    def message(self, verb: int | None = None) -> list[Any]:
        """Return a message that is right in every field; trailing fields may be left out."""
        if verb is None:
            verb = self.rng.choice(list(LAYOUTS))
        self.last += 1
        layout = LAYOUTS[verb]
        fields = [self._fields[name]() for name in layout]
        least = {v.SET: 3, v.DELETE: 2, v.TXN: 3, v.REVERT: 3, v.DIFF: 3, v.GRANT: 2, v.REVOKE: 2}.get(
            verb, min(1, len(layout))
        )
        return [verb, self.last, *fields[: self.rng.randint(least, len(fields))]]

    def hello(self) -> dict[str, Any]:
        session = self.rng.choice([None, *self.sessions])
        return {"versions": [1], "client": "fuzz", "session": session, "actor": "fuzz", "min_rev": 0}

    def value(self) -> bytes:
        size = 50_000 if self.rng.random() < 0.01 else self.rng.randrange(300)
        return self.rng.randbytes(size)

    def selector(self, levels: int = 3) -> list[Any]:
        """Return any selector; one of several may hold several again, a few levels deep."""
        pick = self.rng.choice
        if levels > 0 and self.rng.random() < 0.1:
            return [v.SEL_ANY, [self.selector(levels - 1) for _ in range(pick([1, 2, 3, 40]))]]
        return pick([
            [v.SEL_PATH, pick(PATHS)],
            [v.SEL_TREE, pick(["/", "/fuzz", *BRANCHES])],
            [v.SEL_CHILDREN, pick(["/", *BRANCHES])],
            [v.SEL_GLOB, pick(["/fuzz/*/s", "/**", "/fuzz/?/t", "/fuzz/a"])],
            [v.SEL_RANGE, "/fuzz/b", pick([None, "/fuzz/d"])],
        ])  # fmt: skip

    def guard(self) -> list[Any]:
        kind = self.rng.randrange(8)
        return [kind, self.rng.choice(PATHS), b"x" if kind == v.G_VALUE else self.rng.randrange(3000)]

    def operation(self) -> list[Any]:
        kind = self.rng.randrange(4)
        if kind == v.T_SET:
            lease = [self._fields["lease"]()] if self.rng.random() < 0.2 else []
            return [kind, self.rng.choice(PATHS), self.value(), *lease]
        return [kind, self.rng.choice(BRANCHES if kind == v.T_LIST else PATHS)]

    # -- wrong --------------------------------------------------------------------------------------------

    def wrong(self) -> list[Any]:
        """Return a message with wrong fields: of another type, missing, too many, out of bounds."""
        rng = self.rng
        message = self.message()
        for _ in range(rng.randint(1, 2)):
            place = rng.randrange(len(message) + 1)
            change = rng.random()
            if change < 0.7 and place < len(message):
                message[place] = self._near(message[place]) if rng.random() < 0.4 else self.anything()
            elif change < 0.85:
                message = message[:place]
            else:
                message[place:place] = [self.anything() for _ in range(rng.randint(1, 5))]
        return message

    def _near(self, value: Any) -> Any:
        """Return something like `value`, with one wrong thing inside it."""
        rng = self.rng
        if type(value) is list and value:
            changed = list(value)
            changed[rng.randrange(len(changed))] = self.anything()
            return changed
        if type(value) is dict:
            return {**value, rng.choice([*value, "other"]): self.anything()}
        if type(value) is int:
            return rng.choice(
                [-value, value + 0.0, value == 1, str(value), 1 << 63, (1 << 64) - 1, -(1 << 63)]
            )
        if type(value) is str:
            near = [
                value + "/",
                value + "//x",
                value[1:],
                value.upper(),
                value + "\0",
                value * 50,
                value.encode(),
            ]
            return rng.choice(near)
        return self.anything()

    def anything(self, depth: int = 0) -> Any:
        """Return any value that the wire can carry."""
        rng = self.rng
        kinds: list[Callable[[], Any]] = [
            lambda: None,
            lambda: rng.random() < 0.5,
            lambda: rng.choice([0, 1, -1, 127, 128, 1 << 31, 1 << 53, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]),
            lambda: -rng.randrange(1 << 63),
            lambda: rng.choice([0.0, -0.5, 1e308, math.inf, -math.inf, math.nan]),
            lambda: rng.choice(
                ["", "/", "//", "/fuzz", "\0", "\ud7ff", "\U0010ffff", "é" * 300, "/x" * 3000]
            ),
            lambda: rng.randbytes(rng.choice([0, 1, 16, 300, 5000])),
            lambda: msgpack.ExtType(5, b""),
        ]
        if depth < 4:
            kinds += [
                lambda: [self.anything(depth + 1) for _ in range(rng.randrange(4))],
                lambda: {f"{number}": self.anything(depth + 1) for number in range(rng.randrange(3))},
                lambda: nested(rng.choice([30, 500, 1000])),
            ]
        return rng.choice(kinds)()


def nested(depth: int) -> Any:
    """Return 0 in so many lists."""
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def pack(value: Any) -> bytes | None:
    """Encode one value; None when msgpack cannot (nested too deeply, beyond 64 bits)."""
    try:
        data: bytes = msgpack.packb(value)
    except (ValueError, OverflowError):
        return None
    return data
