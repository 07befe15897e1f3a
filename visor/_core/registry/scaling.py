"""How many instances a group has, and the transactions that change it.

The group is an app, a revision, a process type and an environment. What counts is what stays: pending, claimed and
running instances. The ancestors counted the stopping ones too, so that scaling to 5 while 2 of 5 were stopping gave 3.

    want = goal("+2", 3)        5
    step = grow(group, seen, ids, time)        one transaction, guarded by the group's epoch

Nothing else can create or end an instance of the group between the count and the transaction: every such change
rewrites the group's epoch, and the end of a lease changes /leases; both are guarded. Claims are none of those, so
claimers and scalers do not hold each other up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from visor._core.dataclass import dataclass
from visor._core.public import public
from visor._core.registry import instance_files, layout, names, transitions
from visor._core.registry.model import InstanceRecord, Mark, ScaleRecord
from visor._core.registry.plan import Plan, Refused
from visor._core.registry.records import encode
from visor._core.registry.states import State
from visor._core.registry.transitions import Seen
from visor._core.unfit import shown
from visor.errors import BadRequest, Conflict, NotFound, VisorError

STEP: Final = 500
"""Instances that one transaction registers or stops; a larger change is made in several, each of them whole."""


@dataclass(frozen=True, slots=True)
class Group:
    """What is scaled. `env` is "" for instances without one."""

    app: str
    revision: str
    proc: str
    env: str = ""

    @classmethod
    def of(cls, app: str, revision: str, proc: str, env: str | None) -> Group:
        """Make it of names that came from outside. BadName."""
        return cls(
            names.name("app", app),
            names.name("revision", revision),
            names.proc(proc),
            names.name("env", env) if env else "",
        )

    def directory(self, kind: str) -> str:
        """Return the group's directory of a kind."""
        return layout.group(self.app, kind, self.revision, self.proc, self.env)

    def path(self, kind: str, identity: int) -> str:
        """Return the path of an instance's entry of a kind."""
        return f"{self.directory(kind)}/{layout.number(identity)}"

    @property
    def names(self) -> tuple[str, str, str, str]:
        """App, revision, process type, environment."""
        return self.app, self.revision, self.proc, self.env

    def __str__(self) -> str:
        return f"{self.app} {self.revision} {self.proc}{f' {self.env}' if self.env else ''}"


@dataclass(frozen=True, slots=True)
class Amount:
    """A number to scale to, or by: `parse` reads it."""

    number: int
    relative: bool

    def change(self, count: int) -> int:
        """Return how many instances are to come (or, below 0, to go) where there are `count`.

        BadRequest when that would leave less than none.
        """
        if not self.relative:
            return self.number - count
        if count + self.number < 0:
            raise BadRequest(
                f"there are {count} instances: {self.number:+d} would leave less than none",
                field="n",
                expected=f"at least -{count}",
                actual=self.number,
            )
        return self.number

    def left(self, change: int) -> Amount:
        """Return what is still to be done after `change` instances have come or gone."""
        return Amount(self.number - change, True) if self.relative else self


def parse(amount: int | str) -> Amount:
    """Read `5`, `"5"`, `"+2"` or `"-2"`; a number is absolute. BadRequest for anything else and below none."""
    told = amount[:40] if isinstance(amount, str) else amount if type(amount) is int else shown(amount)
    text = amount.strip() if isinstance(amount, str) else shown(amount)
    relative = isinstance(amount, str) and text[:1] in ("+", "-")
    digits = text[1:] if relative else text
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16):
        raise BadRequest(field="n", expected="N, +N or -N", actual=told)
    return Amount(-int(digits) if text[:1] == "-" else int(digits), relative)


@dataclass(frozen=True, slots=True)
class Order:
    """Who scales a group, and when."""

    group: Group
    by: str
    time: str
    kept: int | None = None
    """The rev that wrote what `scale` was last told, if that is to be fulfilled rather than replaced."""


def grow(order: Order, rev: int, count: int, ids: Sequence[int]) -> tuple[list[InstanceRecord], Plan]:
    """Return instances for the ids and the transaction that registers them, where there were `count` at `rev`."""
    group = order.group
    plan = _plan(order, rev, count, count + len(ids))
    records = [InstanceRecord(each, *group.names, registered=order.time) for each in ids]
    register(plan, records)
    return records, plan


def register(plan: Plan, records: Iterable[InstanceRecord]) -> None:
    """Plan the registration of instances whose ids nobody has."""
    for record in records:
        plan.missing(layout.identity(record.id))
        instance_files.change(plan, {}, instance_files.files(record), record)


def single(
    group: Group, identity: int, place: tuple[str, int] | None, time: str
) -> tuple[InstanceRecord, Plan]:
    """Return one new instance and its transaction: pending, or running at a host and port.

    No count is involved, so nothing but the parts of the group is guarded.
    """
    record = InstanceRecord(identity, *group.names, registered=time)
    if place is not None:
        host, port = place
        record = replace(record, state=State.RUNNING, host=host, ip=host, port=port)
        record = replace(record, claim=1, claims=((host, time),))
    plan = Plan(note=f"register instance {group}")
    for path in _parts(group):
        plan.exists(path)
    plan.look_at(_parts(group))
    register(plan, [record])
    return record, plan


def shrink(
    order: Order, rev: int, count: int, victims: Sequence[Seen]
) -> tuple[list[InstanceRecord | None], Plan]:
    """Return what becomes of the victims (None: taken back before anybody claimed it), and the transaction."""
    plan = _plan(order, rev, count, count - len(victims))
    records: list[InstanceRecord | None] = []
    for seen in victims:
        if seen.state is State.PENDING:
            step = transitions.unregister(
                seen, Mark(order.by, "scaled down before it was claimed", order.time)
            )
        else:
            step = transitions.stop(seen)
        plan.guards += step.plan.guards
        known = {write[1] for write in plan.writes[:2]}  # the group's own files come first
        plan.writes += [write for write in step.plan.writes if write[1] not in known]
        records.append(step.record)
    return records, plan


def purge(ended: Iterable[Seen], mark: Mark) -> Plan:
    """Plan the unregistration of instances that have ended."""
    plan = Plan(note=mark.reason)
    for seen in ended:
        step = transitions.unregister(seen, mark)
        plan.guards += step.plan.guards
        plan.writes += step.plan.writes
    return plan


def settle(order: Order, rev: int, count: int) -> Plan:
    """Return the transaction that only says how many there should be: there are as many."""
    return _plan(order, rev, count, count)


def _plan(order: Order, rev: int, before: int, after: int) -> Plan:
    group = order.group
    plan = Plan(note=f"scale {group}: {before} -> {after}")
    for path in _parts(group):
        plan.exists(path)
    plan.look_at(_parts(group))
    plan.since(group.directory("epoch"), rev)
    plan.since(layout.LEASES, rev)
    if order.kept is None:
        plan.put(group.directory("scale"), encode(ScaleRecord(after, order.by, order.time)))
    else:
        plan.unchanged(group.directory("scale"), order.kept)
    if before != after:
        plan.put(group.directory("epoch"), b"")
    return plan


def parts(group: Group) -> list[str]:
    """Return the files that must be there for an instance of the group."""
    return _parts(group)


def _parts(group: Group) -> list[str]:
    paths = [
        layout.app(group.app),
        layout.revision(group.app, group.revision),
        layout.proc(group.app, group.proc),
    ]
    return [*paths, layout.env(group.app, group.env)] if group.env else paths


def absent(group: Group, refusal: Refused) -> VisorError:
    """Return why a transaction on the group was refused: NotFound for a part that is missing, else Conflict."""
    words = ("app", "revision", "proc", "env")
    for word, path in zip(words, _parts(group), strict=False):
        if path in refusal.found and refusal.found[path] is None:
            name = path.rsplit("/", 1)[1] if word != "app" else group.app
            of = "" if word == "app" else f" of {group.app}"
            return NotFound(f"{word} {name}{of}: not registered", path=path, rev=refusal.rev)
    return Conflict(
        f"{group}: others kept changing how many instances there are", path=group.directory("epoch")
    )


def unexpected(group: Group, expected: int, count: int) -> Conflict:
    """Return why nothing was done for who had seen another number than there is."""
    words = f"{group}: there are {count} instances, not the {expected} that were seen: look again"
    return Conflict(words, path=group.directory("live"), actual=count)


public("visor.registry", Group)


@dataclass(frozen=True, slots=True)
class ScaleCount:
    """How many instances there are at a rev."""

    count: int
    """Pending, claimed and running."""
    stopping: int
    """Asked to stop and not ended yet; not part of `count`."""
    rev: int
    by_env: Mapping[str, int]
    """`count` by environment ("" for instances without one)."""

    @property
    def total(self) -> int:
        """All that have not ended."""
        return self.count + self.stopping


public("visor.registry", ScaleCount)
