"""A member that needs a checkpoint, and one of which the leader only believes so."""

from __future__ import annotations

from tests.raft.ours import OurMember
from tests.raft.trap_world import World


def ours(world: World, me: str) -> OurMember:
    member = world.up[me]
    assert isinstance(member, OurMember)
    return member


def test_a_member_whose_log_begins_behind_the_leaders_gets_the_entries_and_no_checkpoint() -> None:
    # Simulation, seed 65 of 1f3576e: it had taken over the leader's newest checkpoint, and the leader had not heard so.
    # Asked for entries before it, it called for a checkpoint for ever, and was told that there is none that helps.
    world = World(1, OurMember)
    leader = ours(world, world.elect().me)
    replica = ours(world, next(me for me in world.ids if me != leader.me))
    world.isolate(replica.me)
    world.write(10)
    world.run(0.5)
    early = leader.engine.applied_index
    world.write(10)
    world.run(0.5)
    index, commands = leader.engine.applied_index, list(leader.applied)
    term = leader.term_at(index)
    assert term is not None
    world.write(10)
    leader.trim_to = early
    world.run(0.5)
    assert replica.last < leader.log.first_index < index < leader.last

    replica.applied = commands
    replica.engine.installed(index, term, replica.engine.configuration)
    calls: list[str] = []
    replica.engine.on_install(lambda member, first: calls.append(member))
    world.heal()
    for yes in (False, True):  # a new connection: what was under way may be lost
        leader.connect(replica.me, yes)
    assert world.run(5.0, world.all_equal)
    assert len(replica.applied) == 30
    assert calls == []
