"""How many instances there are, and making it another number."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from visor import select
from visor._core.dataclass import dataclass
from visor._core.public import public
from visor._core.registry import layout, scaling
from visor._core.registry.errors import BadRecord, Unregistered
from visor._core.registry.model import InstanceRecord, Mark, ScaleRecord
from visor._core.registry.plan import Refused
from visor._core.registry.scaling import Amount, Group, Order, ScaleCount
from visor._core.registry.schema import text
from visor._core.registry.states import ENDED
from visor._core.registry.transitions import Seen
from visor.aio.registry.access import access_of, within
from visor.aio.registry.instance import Instance
from visor.errors import BadRequest, Conflict, NotFound

if TYPE_CHECKING:
    from visor.aio.registry.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Scaled:
    """What `scale` did."""

    instances: tuple[Instance, ...]
    """Those that were registered, or those that were stopped (done, where nobody had claimed them yet)."""
    previous: int
    """How many there were, not counting those that were stopping."""
    count: int
    """How many there are."""
    rev: int


async def scale_group(
    view: Snapshot,
    group: Group,
    amount: Amount,
    by: str | None,
    timeout: float | None,
    expected: int | None = None,
) -> Scaled:
    """Bring a group to an amount: up to 500 instances in one rev, more in steps that are whole each.

    With `expected` nothing is done unless there are so many before the first step.
    """
    from visor.aio.registry.repair import mend_or_raise

    view = within(view, timeout)
    access = access_of(view)
    by = access.who(by)
    pauses = access.pauses()
    done: list[Instance] = []
    ids: list[int] = []
    previous: int | None = None
    while True:
        order = Order(group, by, access.time())
        rev, count = await access.count(select.children(group.directory("live")))
        if previous is None and expected is not None and count != expected:
            raise scaling.unexpected(group, expected, count)
        try:
            left = amount.change(count)
        except BadRequest:
            await _require(view, group, rev)
            raise
        step = max(-scaling.STEP, min(scaling.STEP, left))
        if step > 0 and len(ids) < step:
            ids = await access.ids(scaling.STEP if left > scaling.STEP else step)
        try:
            result = await _attempt(view, order, rev, count, step, ids)
        except BadRecord as bad:
            await mend_or_raise(view, bad, pauses)
            continue
        if isinstance(result, Refused):
            error = scaling.absent(group, result)
            if not isinstance(error, Conflict) or not await pauses.next():
                raise error
            continue
        previous = count if previous is None else previous
        done += result[1]
        amount, ids = amount.left(step), []
        if step == left:
            return Scaled(tuple(done), previous, count + step, result[0])


async def _require(view: Snapshot, group: Group, rev: int) -> None:
    """Raise NotFound when a part of the group is not registered: of that there is nothing to count."""
    for path in scaling.parts(group):
        if (await access_of(view).get(path, rev))[1] is None:
            raise scaling.absent(group, Refused(rev, {path: None}))


async def top_up(view: Snapshot, group: Group, by: str | None, timeout: float | None) -> Scaled:
    """Register what a group lacks of what `scale` was last told, up to 500 in one rev; never stop anything."""
    view = within(view, timeout)
    access = access_of(view)
    by = access.who(by)
    pauses = access.pauses()
    path = group.directory("scale")
    while True:
        rev, version = await access.get(path)
        if version is None:
            raise NotFound(f"{group}: never scaled", path=path, rev=rev)
        _, count = await access.count(select.children(group.directory("live")), rev)
        missing = min(view.decode(ScaleRecord, path, version).target - count, scaling.STEP)
        if missing <= 0:
            return Scaled((), count, count, rev)
        order = Order(group, by, access.time(), version[0])
        result = await _attempt(view, order, rev, count, missing, await access.ids(missing))
        if not isinstance(result, Refused):
            return Scaled(tuple(result[1]), count, count + missing, result[0])
        error = scaling.absent(group, result)
        if not isinstance(error, Conflict) or not await pauses.next():
            raise error


async def _attempt(
    view: Snapshot, order: Order, rev: int, count: int, step: int, ids: list[int]
) -> Refused | tuple[int, list[Instance]]:
    """Try one step from what was counted at `rev`; return its rev and the instances it is about."""
    access = access_of(view)
    after: list[InstanceRecord | None]
    if step == 0:
        after, plan = [], scaling.settle(order, rev, count)
    elif step > 0:
        grown, plan = scaling.grow(order, rev, count, ids[:step])
        after = list(grown)
    else:
        victims = await _lowest(view, order.group, rev, -step)
        after, plan = scaling.shrink(order, rev, count, victims)
    done = await access.commit(plan)
    if isinstance(done, Refused):
        return done
    then = view.at(done)
    if step < 0:
        return done, [
            Instance(then, Seen(record or seen.record, done if record else 0))
            for seen, record in zip(victims, after, strict=True)
        ]
    return done, [Instance(then, Seen(record, done)) for record in after if record is not None]


async def _lowest(view: Snapshot, group: Group, rev: int, count: int) -> list[Seen]:
    """Return the live instances of the lowest ids at `rev`."""
    access = access_of(view)
    live = select.children(group.directory("live"))
    _, entries = await access.scan(live, rev, keys=True, limit=count)
    wanted = [path.rsplit("/", 1)[1] for path, _ in entries]
    if not wanted:
        return []
    directory = group.directory("instances")
    span = select.range(f"{directory}/{wanted[0]}", f"{directory}/{int(wanted[-1]) + 1:0{layout.DIGITS}d}")
    _, rows = await access.scan(span, rev)
    chosen = set(wanted)
    at = view.at(rev)
    return [
        Seen(at.decode(InstanceRecord, path, version), version[0])
        for path, version in rows
        if path.rsplit("/", 1)[1] in chosen
    ]


async def count_group(view: Snapshot, app: str, revision: str, proc: str, env: str | None) -> ScaleCount:
    """Count the instances of a process type of a revision, of all environments or of one ("" for none)."""
    counts: list[Mapping[str, int]] = []
    for kind in ("live", "stopping"):
        sizes = await access_of(view).sizes(layout.group(app, kind, revision, proc), view.rev)
        named = {"" if name == layout.NO_ENV else name: size for name, size in sizes.items()}
        counts.append(named if env is None else {env: named.get(env, 0)})
    live, stopping = counts
    return ScaleCount(sum(live.values()), sum(stopping.values()), view.rev, live)


async def register_one(
    view: Snapshot, group: Group, place: tuple[str, int] | None, timeout: float | None
) -> Instance:
    """Register one instance: pending, or running at HOST and PORT."""
    access = access_of(view).within(timeout)
    time = access.time()
    (identity,) = await access.ids(1)
    record, plan = scaling.single(group, identity, place, time)
    done = await access.commit(plan)
    if isinstance(done, Refused):
        raise scaling.absent(group, done)
    return Instance(view.at(done), Seen(record, done))


async def purge(view: Snapshot, app: str | None, reason: str) -> int:
    """Unregister the instances that have ended, up to 500 in one rev, and return how many.

    Of one that cannot be read nobody knows whether it has ended: it stays.
    """
    access = access_of(view)
    text("reason", reason)
    ended = [each for each in await view.instances(app) if each.state in ENDED]
    count = 0
    for start in range(0, len(ended), scaling.STEP):
        mark = Mark(access.actor, reason, access.time())
        batch = [each.seen for each in ended[start : start + scaling.STEP]]
        done = await access.commit(scaling.purge(batch, mark))
        if isinstance(done, Refused):  # somebody else tidies too: one by one
            for instance in ended[start : start + scaling.STEP]:
                with contextlib.suppress(Conflict, Unregistered):
                    await instance.unregister(reason=reason, timeout=access.left())
                    count += 1
        else:
            count += len(batch)
    return count


public("visor.aio.registry", Scaled)
