"""Scale: the number, the order, what it returns, what it refuses; alone."""

from __future__ import annotations

import pytest

from visor import errors
from visor._core.registry.scaling import STEP
from visor.registry import Group, Registry, State
from visor.registry.errors import InUse


def ids(registry: Registry) -> list[int]:
    return [each.id for each in registry.instances()]


def test_up_registers_pending_instances_in_one_rev(web: Registry) -> None:
    before = web.client.rev()
    scaled = web.scale("web", "v1", "worker", 5)
    assert (scaled.previous, scaled.count, len(scaled.instances)) == (0, 5, 5)
    assert scaled.rev == before + 2  # the ids' rev, and one for all five
    assert {each.rev for each in scaled.instances} == {scaled.rev}
    assert {each.state for each in scaled.instances} == {State.PENDING}
    assert web.instances() == list(scaled.instances)
    count = web.get_scale("web", "v1", "worker")
    assert (count.count, count.stopping, count.total, count.rev) == (5, 0, 5, scaled.rev)


def test_down_stops_the_lowest_ids_first(web: Registry) -> None:
    instances = web.scale("web", "v1", "worker", 6).instances
    for each in instances:
        each.claim("h").started()
    scaled = web.scale("web", "v1", "worker", 4)
    assert (scaled.previous, scaled.count) == (6, 4)
    assert [each.id for each in scaled.instances] == [each.id for each in instances[:2]]
    assert {each.state for each in scaled.instances} == {State.STOPPING}
    count = web.get_scale("web", "v1", "worker")
    assert (count.count, count.stopping, count.total) == (4, 2, 6)


def test_scaling_down_twice_before_they_exit_stops_no_more(web: Registry) -> None:
    """The ancestors failed here: they counted the stopping ones."""
    for each in web.scale("web", "v1", "worker", 5).instances:
        each.claim("h").started()
    first = web.scale("web", "v1", "worker", 3)
    assert web.scale("web", "v1", "worker", 3).instances == ()
    up = web.scale("web", "v1", "worker", 5)
    assert (up.previous, len(up.instances)) == (3, 2)
    for each in first.instances:
        each.exited()
    assert web.get_scale("web", "v1", "worker").total == 5


def test_what_nobody_has_claimed_is_taken_back(web: Registry) -> None:
    pending, claimed, running = web.scale("web", "v1", "worker", 3).instances
    claimed.claim("h")
    running.claim("h").started()
    scaled = web.scale("web", "v1", "worker", 0)
    assert [each.state for each in scaled.instances] == [State.DONE, State.STOPPING, State.STOPPING]
    assert web.snapshot().is_done(pending.id)
    assert [each.instance.id for each in web.tickets() if each.instance] == [claimed.id, running.id]


@pytest.mark.parametrize(
    ("start", "amount", "count"),
    [(3, "+2", 5), (3, "-2", 1), (3, "+0", 3), (3, 3, 3), (3, "7", 7), (0, 0, 0)],
)
def test_absolute_and_relative_amounts(web: Registry, start: int, amount: int | str, count: int) -> None:
    web.scale("web", "v1", "worker", start)
    scaled = web.scale("web", "v1", "worker", amount)
    assert (scaled.previous, scaled.count, len(scaled.instances)) == (start, count, abs(count - start))
    assert web.get_scale("web", "v1", "worker").count == count


@pytest.mark.parametrize(("amount", "shown"), [(-2, "not -2"), ("x", "not 'x'"), (True, "not 'True'")])
def test_an_amount_that_makes_no_sense_is_shown_as_it_was_given(
    web: Registry, amount: int | str, shown: str
) -> None:
    with pytest.raises(errors.BadRequest) as caught:
        web.scale("web", "v1", "worker", amount)
    assert str(caught.value).endswith(shown)


@pytest.mark.parametrize("amount", [-1, "x", "", "+", "--1", "1.5", True, "-4", "٣"])
def test_amounts_that_make_no_sense_are_refused(web: Registry, amount: int | str) -> None:
    web.scale("web", "v1", "worker", 3)
    rev = web.client.rev()
    with pytest.raises(errors.BadRequest):
        web.scale("web", "v1", "worker", amount)
    assert web.client.rev() == rev


@pytest.mark.parametrize(
    ("app", "revision", "proc", "env", "missing"),
    [
        ("other", "v1", "worker", None, "app other"),
        ("web", "v9", "worker", None, "revision v9"),
        ("web", "v1", "other", None, "proc other"),
        ("web", "v1", "worker", "prod", "env prod"),
    ],
)
def test_what_is_not_registered_is_named(
    web: Registry, app: str, revision: str, proc: str, env: str | None, missing: str
) -> None:
    for amount in (2, 0, "-2"):
        with pytest.raises(errors.NotFound, match=missing) as caught:
            web.scale(app, revision, proc, amount, env)
        assert f"{app} of {app}" not in str(caught.value)
    with pytest.raises(errors.NotFound, match=missing):
        web.snapshot().register_instance(app, revision, proc, None, env)
    with pytest.raises(errors.NotFound):
        web.create_ticket("start", app, revision, proc, env)
    assert web.instances() == []
    assert web.get_scale(app, revision, proc, env).count == 0


def test_environments_are_counted_apart(web: Registry) -> None:
    """bazooka #86: scaling one environment touched another."""
    app = web.app("web")
    app.register_env("prod", {})
    app.register_env("test", {})
    web.scale("web", "v1", "worker", 3, "prod")
    web.scale("web", "v1", "worker", 2, "test")
    web.scale("web", "v1", "worker", 1)
    scaled = web.scale("web", "v1", "worker", 1, "prod")
    assert scaled.previous == 3
    count = web.get_scale("web", "v1", "worker")
    assert (count.count, dict(count.by_env)) == (4, {"": 1, "prod": 1, "test": 2})
    assert web.get_scale("web", "v1", "worker", "test").count == 2
    assert web.get_scale("web", "v1", "worker", "").count == 1
    assert {each.env for each in web.snapshot().instances("web", env="test")} == {"test"}


def test_what_was_asked_for_is_remembered(web: Registry) -> None:
    web.scale("web", "v1", "worker", 3, by="alice")
    (instance, *_) = web.instances()
    instance.claim("h").failed()
    targets = web.snapshot().targets()
    group = Group("web", "v1", "worker")
    assert {each: record.target for each, record in targets.items()} == {group: 3}
    assert targets[group].by == "alice"
    assert web.get_scale("web", "v1", "worker").count == 2


def test_ends_lower_the_count_and_ids_rise(web: Registry) -> None:
    first = web.scale("web", "v1", "worker", 3).instances
    running = [each.claim("h").started() for each in first]
    running[0].exited()
    running[1].failed()
    running[2].lost()
    assert web.get_scale("web", "v1", "worker").total == 0
    second = web.scale("web", "v1", "worker", 2).instances
    assert min(each.id for each in second) > max(each.id for each in first)
    assert ids(web) == sorted(ids(web))


def test_it_is_done_only_to_the_number_that_was_seen(web: Registry) -> None:
    web.scale("web", "v1", "worker", 3, expected=0)
    for amount in (5, "+1", 0, 3):
        with pytest.raises(errors.Conflict, match="there are 3 instances, not the 2"):
            web.scale("web", "v1", "worker", amount, expected=2)
    # Of several steps, it is asked before the first.
    assert web.scale("web", "v1", "worker", 600, expected=3).count == 600


def test_a_large_change_is_made_in_steps_that_are_whole(web: Registry) -> None:
    n = 2 * STEP + 7
    scaled = web.scale("web", "v1", "worker", n)
    assert (scaled.count, len({each.id for each in scaled.instances})) == (n, n)
    assert sorted(len(list(each)) for each in by_rev(scaled.instances).values()) == [7, STEP, STEP]
    with pytest.raises(InUse):
        web.app("web").unregister(cascade=True)  # too many for one rev
    down = web.scale("web", "v1", "worker", f"-{n - 3}")
    assert (down.previous, down.count) == (n, 3)
    assert [each.id for each in down.instances] == [each.id for each in scaled.instances][: n - 3]
    assert len(web.instances()) == 3


def by_rev(instances: tuple[object, ...]) -> dict[int, list[object]]:
    found: dict[int, list[object]] = {}
    for each in instances:
        found.setdefault(each.rev, []).append(each)  # type: ignore[attr-defined]
    return found
