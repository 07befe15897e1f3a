"""Two hundred scalers and claimers at once: counts exact, every ticket worked once, no debris.

Run against a cluster with VISOR_TEST_ADDR; whatever happens to its nodes meanwhile, the assertions are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

import visor.aio
from tests.patience import PATIENCE
from visor.aio.registry import Registry, Ticket
from visor.errors import Conflict, RevMismatch
from visor.registry import Registry as BlockingRegistry
from visor.registry import State, Status
from visor.registry.errors import IllegalMove

pytestmark = pytest.mark.soak

Dial = Callable[[], visor.aio.Dialling[bytes]]

CLIENTS = 8


async def _clients(dial: Dial) -> list[Registry]:
    return [Registry(await dial(), random=random.Random(number)) for number in range(CLIENTS)]


async def _close(registries: list[Registry]) -> None:
    for registry in registries:
        await registry.close()


def test_relative_scalers_lose_nothing(web: BlockingRegistry, dial: Dial) -> None:
    """Two hundred changes by -3 to +4 each: in the end there are exactly as many as their sum says."""
    dice = random.Random(1)
    steps = [dice.choice((-3, -2, 1, 2, 3, 4)) for _ in range(100)]
    web.scale("web", "v1", "worker", 400)

    async def storm() -> None:
        registries = await _clients(dial)

        async def one(number: int, step: int) -> None:
            scaled = await registries[number % CLIENTS].scale("web", "v1", "worker", f"{step:+d}", timeout=90)
            assert len(scaled.instances) == abs(step)
            assert scaled.count == scaled.previous + step

        await asyncio.gather(*(one(number, step) for number, step in enumerate(steps)))
        await _close(registries)

    asyncio.run(storm())
    assert web.get_scale("web", "v1", "worker").count == 400 + sum(steps)


def test_absolute_scalers_end_at_one_of_their_numbers(web: BlockingRegistry, dial: Dial) -> None:
    """Each sees the others' work whole: what it is told was there before is what another one left."""
    numbers = [5, 17, 40, 3, 28, 11, 0, 33] * 6
    seen: list[tuple[int, int, int]] = []

    async def storm() -> None:
        registries = await _clients(dial)

        async def one(number: int, n: int) -> None:
            scaled = await registries[number % CLIENTS].scale("web", "v1", "worker", n, timeout=90)
            seen.append((scaled.rev, scaled.previous, scaled.count))

        await asyncio.gather(*(one(number, n) for number, n in enumerate(numbers)))
        await _close(registries)

    asyncio.run(storm())
    seen.sort()
    assert [count for *_, count in seen] != sorted(count for *_, count in seen)
    for (_, _, before), (_, previous, _) in itertools.pairwise(seen):
        assert previous == before
    assert web.get_scale("web", "v1", "worker").count == seen[-1][2]


def test_every_ticket_goes_to_exactly_one_claimer(web: BlockingRegistry, dial: Dial) -> None:
    """200 claimers, 300 tickets of both kinds; each claimer works until nothing is left."""
    web.scale("web", "v1", "worker", 250)
    free = [web.create_ticket("start", "web", "v1", "worker").id for _ in range(50)]
    worked: Counter[int] = Counter()
    by_host: Counter[str] = Counter()

    async def storm() -> None:
        registries = await _clients(dial)

        async def claimer(number: int) -> None:
            host = f"host{number}"
            while (ticket := await registries[number % CLIENTS].claim_ticket(host, timeout=90)) is not None:
                assert ticket.host == host
                worked[ticket.id] += 1
                by_host[host] += 1
                await ticket.done(host)

        await asyncio.gather(*(claimer(number) for number in range(200)))
        await _close(registries)

    asyncio.run(storm())
    assert len(worked) == 300
    assert set(worked.values()) == {1}
    assert max(by_host.values()) < 30
    instances = web.instances()
    assert {each.state for each in instances} == {State.RUNNING}
    assert {each.claim_count for each in instances} == {1}
    assert [web.ticket(each).status for each in free] == [Status.DONE] * 50
    assert web.tickets() == []


async def _work(registry: Registry, number: int, dice: random.Random, over: asyncio.Event) -> None:
    """One manager among many: claim, give back, start, fail, exit what should stop, until it is over."""
    host = f"host{number}"
    while not over.is_set():
        ticket = await registry.claim_ticket(host, timeout=90)
        if ticket is not None:
            await _live(ticket, dice)
        else:
            await asyncio.sleep(0.2)
        for stop in await registry.host_tickets(host):
            if stop.op == "stop":
                await _tolerant(stop.done())


async def _live(ticket: Ticket, dice: random.Random) -> None:
    fate = dice.random()
    if fate < 0.1:
        await _tolerant(ticket.unclaim())
    elif fate < 0.2:
        await _tolerant(ticket.dead(reason="bad luck"))
    else:
        await _tolerant(ticket.done())


async def _tolerant(work: Awaitable[Ticket]) -> None:
    # A scaler may have asked it to stop meanwhile: then it comes as a stop ticket.
    with contextlib.suppress(IllegalMove, RevMismatch):
        await work


def test_scalers_and_claimers_together(web: BlockingRegistry, dial: Dial) -> None:
    """100 scalers by turns up and down, 100 managers; the sum of what was answered is what is there."""
    web.app("web").register_env("prod", {})
    totals: Counter[str] = Counter()

    async def storm() -> None:
        registries = await _clients(dial)
        over = asyncio.Event()

        async def scaler(number: int) -> None:
            dice = random.Random(number)
            env = dice.choice(("", "prod"))
            for _ in range(3):
                step = dice.choice((-1, 1, 2, 3))
                try:
                    scaled = await registries[number % CLIENTS].scale(
                        "web", "v1", "worker", f"{step:+d}", env, timeout=90
                    )
                except visor.errors.BadRequest:
                    continue  # it would have left less than none
                totals[env] += scaled.count - scaled.previous

        workers = [
            asyncio.create_task(_work(registries[number % CLIENTS], number, random.Random(number), over))
            for number in range(100)
        ]
        await asyncio.gather(*(scaler(number) for number in range(100)))
        over.set()
        await asyncio.gather(*workers)
        await _close(registries)

    asyncio.run(storm())
    failed = Counter(each.env for each in web.instances() if each.state is State.FAILED)
    counted = web.get_scale("web", "v1", "worker")
    # A stopped instance that fails before it exits was taken off the count by scale already.
    events = web.snapshot().instances()
    live = Counter(each.env for each in events if each.state in (State.PENDING, State.CLAIMED, State.RUNNING))
    assert dict(live) == {env: count for env, count in counted.by_env.items() if count}
    for env in ("", "prod"):
        assert totals[env] - failed[env] <= live[env] <= totals[env]


def test_registrations_and_unregistrations_do_not_leave_halves(web: BlockingRegistry, dial: Dial) -> None:
    """Apps, revisions and process types come and go under the scalers' feet."""
    outcomes: Counter[str] = Counter()

    async def storm() -> None:
        registries = await _clients(dial)

        async def churn(number: int) -> None:
            registry = registries[number % CLIENTS]
            name = f"app{number % 4}"
            for _ in range(6):
                try:
                    app = await registry.register_app("", name=name)
                    await app.register_revision("v1")
                    await app.register_proc("worker", timeout=PATIENCE)
                    await registry.scale(name, "v1", "worker", 3, timeout=PATIENCE)
                    outcomes["scaled"] += 1
                    app = await registry.app(name)
                    await app.unregister(cascade=True, timeout=PATIENCE)
                    outcomes["unregistered"] += 1
                except (Conflict, visor.errors.NotFound):
                    outcomes["refused"] += 1

        await asyncio.gather(*(churn(number) for number in range(24)))
        await _close(registries)

    asyncio.run(storm())
    assert outcomes["scaled"] > 0
    assert outcomes["unregistered"] > 0
    assert web.verify() == []


@pytest.mark.parametrize("count", [200])
def test_one_instance_many_claimers(web: BlockingRegistry, dial: Dial, count: int) -> None:
    (instance,) = web.scale("web", "v1", "worker", 1).instances

    async def storm() -> int:
        registries = await _clients(dial)
        won = 0

        async def claim(number: int) -> None:
            nonlocal won
            mine = await registries[number % CLIENTS].instance(instance.id)
            try:
                await mine.claim(f"host{number}")
                won += 1
            except Conflict:
                pass

        await asyncio.gather(*(claim(number) for number in range(count)))
        await _close(registries)
        return won

    assert asyncio.run(storm()) == 1
    assert web.instance(instance.id).claim_count == 1
