"""Linearizable, judged without revs: a search for an order of each file's reads and writes (Wing and Gong, Lowe).

The other checkers trust the revs that the registry tells. This one looks at values alone, so a registry that numbered
its commits wrongly could not fool both. A search may be long, so it sees a limited number of operations of each file
and gives up after a number of steps.

Calls and returns are one list in the order of time. The search takes the first call whose effect fits, lifts it and its
return out of the list and goes on from the beginning; at a return that is still in the list, the operation had to come
before: it undoes the last choice. A set of (operations done, value) that was there before is not tried again.

    calls and returns       w(1)  r?  r=1)  w)   ...
    order found             w(1) before r
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from tests.checkers.history import LINEARIZABLE, NEVER, OK, REJECTED, History, Operation, Violation
from visor.protocol import verbs

NAME = "linearizable (by values)"
MAX_OPERATIONS: Final = 150
"""Of one file."""
MAX_STEPS: Final = 20_000

ANY: Final = b"any"
ABSENT: Final = b"absent"
PRESENT: Final = b"present"


class Step(NamedTuple):
    """One operation on one file: `needs` is what must be there (ANY, ABSENT, PRESENT, or `=` and the value)."""

    call: float
    end: float
    needs: bytes
    writes: bool
    value: bytes | None
    """What is there afterwards, if it writes."""


def check(history: History) -> None:
    """Raise `Violation` for a file whose operations no order explains."""
    for path, steps in sorted(steps_of(history.operations).items()):
        if search(steps) is False:
            raise Violation(NAME, f"no order explains the {len(steps)} operations on {path}")


def steps_of(operations: Iterable[Operation]) -> dict[str, list[Step]]:
    """Return what happened to each file, the earliest `MAX_OPERATIONS` of each."""
    found: dict[str, list[Step]] = {}
    for operation in operations:
        for path, step in _steps(operation):
            found.setdefault(path, []).append(step)
    return {path: _first(sorted(steps), MAX_OPERATIONS) for path, steps in found.items()}


def _steps(operation: Operation) -> list[tuple[str, Step]]:
    write, read = operation.write, operation.read
    if read is not None:
        if read.mode != LINEARIZABLE or read.tree or operation.outcome != OK:
            return []
        version = operation.result.get(read.path)
        needs = ABSENT if version is None else b"=" + version[1]
        return [(read.path, Step(operation.call, operation.end, needs, False, None))]
    assert write is not None
    if operation.outcome == REJECTED:
        return _refused(operation)
    unknown = operation.outcome != OK
    end = NEVER if unknown else operation.end
    done = write.then
    if not unknown and isinstance(operation.result, tuple) and not operation.result[0]:
        done = write.otherwise
    guards = {} if unknown else {path: kind for kind, path, _ in write.guards}
    last = {one[1]: one for one in done if one[0] != verbs.T_GET}
    return [
        (path, Step(operation.call, end, _needs(guards.get(path, verbs.G_NONE)), True, _value(one)))
        for path, one in last.items()
    ]


def _refused(operation: Operation) -> list[tuple[str, Step]]:
    """A refusal tells whether the file was there; one for another rev tells nothing about values."""
    write = operation.write
    assert write is not None
    needs = {"exists": PRESENT, "not_found": ABSENT}.get(operation.result[0])
    if needs is None or len(write.then) != 1:
        return []
    return [(write.then[0][1], Step(operation.call, operation.end, needs, False, None))]


def _needs(guard: int) -> bytes:
    return {verbs.G_MISSING: ABSENT, verbs.G_EXISTS: PRESENT}.get(guard, ANY)


def _value(operation: tuple[object, ...]) -> bytes | None:
    value = operation[2] if operation[0] == verbs.T_SET else None
    assert value is None or isinstance(value, bytes)
    return value


def _first(steps: list[Step], limit: int) -> list[Step]:
    """Cut the list; what still ran then may or may not have happened."""
    if len(steps) <= limit:
        return steps
    cut = steps[limit].call
    kept = []
    for step in steps[:limit]:
        if step.end < cut:
            kept.append(step)
        elif step.writes:
            kept.append(step._replace(end=NEVER, needs=ANY))
    return kept


class _Entry:
    """A call or a return in the list."""

    __slots__ = ("after", "before", "mate", "number", "step")

    def __init__(self, number: int, step: Step) -> None:
        self.number = number
        self.step = step
        self.mate: _Entry | None = None
        """Of a call: its return."""
        self.before: _Entry = self
        self.after: _Entry | None = None


def search(steps: list[Step], max_steps: int = MAX_STEPS) -> bool | None:
    """Return whether some order explains the operations; None when the search was given up."""
    head = _list_of(steps)
    done, value = 0, None
    known: set[tuple[int, bytes | None]] = set()
    stack: list[tuple[_Entry, bytes | None]] = []
    entry = head.after
    while head.after is not None:
        max_steps -= 1
        if max_steps < 0:
            return None
        assert entry is not None
        if entry.mate is not None:
            after = _apply(entry.step, value)
            key = (done | 1 << entry.number, after[0]) if after is not None else None
            if key is not None and key not in known:
                known.add(key)
                stack.append((entry, value))
                done, value = key
                _lift(entry)
                entry = head.after
            else:
                entry = entry.after
        elif not stack:
            return False
        else:
            entry, value = stack.pop()
            done &= ~(1 << entry.number)
            _put_back(entry)
            entry = entry.after
    return True


def _apply(step: Step, value: bytes | None) -> tuple[bytes | None] | None:
    """Return what is there after a step, None when it cannot come now."""
    needs = step.needs
    if needs == ANY or (needs == ABSENT and value is None) or (needs == PRESENT and value is not None):
        fits = True
    else:
        fits = value is not None and needs == b"=" + value
    return ((step.value if step.writes else value),) if fits else None


def _list_of(steps: list[Step]) -> _Entry:
    moments: list[tuple[float, int, int]] = []
    for number, step in enumerate(steps):
        # At equal times calls come first: then the two are taken as concurrent.
        moments += [(step.call, 0, number), (step.end, 1, number)]
    head = last = _Entry(-1, Step(0.0, 0.0, ANY, False, None))
    calls: dict[int, _Entry] = {}
    for _, returns, number in sorted(moments):
        entry = _Entry(number, steps[number])
        if returns:
            calls[number].mate = entry
        else:
            calls[number] = entry
        last.after, entry.before = entry, last
        last = entry
    return head


def _lift(call: _Entry) -> None:
    assert call.mate is not None
    for entry in (call, call.mate):
        entry.before.after = entry.after
        if entry.after is not None:
            entry.after.before = entry.before


def _put_back(call: _Entry) -> None:
    assert call.mate is not None
    for entry in (call.mate, call):
        if entry.after is not None:
            entry.after.before = entry
        entry.before.after = entry
