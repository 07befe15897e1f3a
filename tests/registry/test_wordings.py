"""What the domain says when something cannot be done: each thing once, in the caller's words."""

from __future__ import annotations

from typing import Any

import pytest

from visor import errors
from visor._core.registry.layout import number
from visor.cli.domain.common import look_around
from visor.registry import Registry

GROUP = ("web", "v1", "worker")


@pytest.mark.parametrize("identity", ["x", None, 1.5, -1, True])
def test_what_is_no_id_is_said_to_be_none(web: Registry, identity: Any) -> None:
    with pytest.raises(errors.BadRequest, match="id must be a whole number, 0 or more, not"):
        number(identity)
    for call in (web.instance, web.ticket):
        with pytest.raises(errors.BadRequest, match="id must be a whole number"):
            call(identity)


def test_a_state_that_was_waited_for_is_named(web: Registry) -> None:
    (instance,) = web.scale(*GROUP, 1).instances
    for states, named in (
        (("failed",), "failed"),
        (("failed", "running"), "failed, running"),
        ((), "its end"),
    ):
        with pytest.raises(errors.DeadlineExceeded, match=f"is pending after 0.05 s, waited for {named}$"):
            instance.wait(*states, timeout=0.05)


def test_what_was_unregistered_is_said_once(web: Registry) -> None:
    plain, told = web.scale(*GROUP, 2).instances
    plain.unregister(by="ann")
    told.unregister(by="ann", reason="moved")
    with pytest.raises(errors.NotFound, match=r"was unregistered by ann$"):
        web.instance(plain.id)
    with pytest.raises(errors.NotFound, match=r"was unregistered by ann: moved$"):
        web.instance(told.id)


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/apps/web/app", "visor app ls"),
        ("/apps/web/revs/v9", "visor rev ls web"),
        ("/apps/web/procs/x", "visor proc ls web"),
        ("/apps/web/envs/x", "visor env ls web"),
        ("/apps/web/env/X", "visor env get web"),
        ("/services/s/service", "visor service ls"),
        ("/runners/h/1", "visor runner ls"),
        ("/ids/000000000000001", "visor instance ls"),
    ],
)
def test_the_advice_names_the_command_that_lists_such_things(path: str, command: str) -> None:
    advice = look_around(errors.NotFound("x: not registered", path=path, rev=1))
    assert advice is not None
    assert command in advice
    assert look_around(errors.NotFound(path="/other", rev=1)) is None
