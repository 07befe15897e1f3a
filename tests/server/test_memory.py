"""When memory is given back to the system: after growth and crowds, ever more seldom while that is worth nothing."""

from __future__ import annotations

import itertools

from visord.serving.memory import CROWD, GROWN, LET_GO, SELDOM, Memory, resident

MIB = 1 << 20


def test_what_does_not_grow_is_left_alone() -> None:
    memory = Memory(60 * MIB)
    assert not any(memory.due(60 * MIB + GROWN // 2 * (look & 1), look, look) for look in range(CROWD))


def test_what_has_grown_is_looked_after_until_it_is_back() -> None:
    memory, held, gone = Memory(60 * MIB), 180 * MIB, False
    attempts = []
    for look in range(100):
        if look == 40:
            gone = True  # nothing shows it: the allocator keeps it
        if memory.due(held, 0, 0):
            attempts.append(look)
            if gone:
                held = 70 * MIB
    assert attempts[0] == 0
    assert held == 70 * MIB
    assert len([look for look in attempts if look < 40]) <= 6
    assert len(attempts) < 16


def test_attempts_that_are_worth_nothing_end() -> None:
    memory = Memory(60 * MIB)
    attempts = [look for look in range(4 * SELDOM) if memory.due(180 * MIB, 0, 0)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    assert gaps == sorted(gaps)
    assert attempts[-1] <= 2 * SELDOM + len(attempts)


def test_a_crowd_that_has_gone_is_a_reason() -> None:
    memory = Memory(60 * MIB)
    assert not memory.due(60 * MIB, CROWD - 1, 0)
    assert memory.due(60 * MIB, CROWD, 0)


def test_what_a_checkpoint_has_let_go_of_is_a_reason_each_time_it_is_much() -> None:
    memory = Memory(60 * MIB)
    assert not memory.due(60 * MIB, 0, LET_GO - 1)
    assert memory.due(60 * MIB, 0, LET_GO)
    attempts = [look for look in range(4 * SELDOM) if memory.due(60 * MIB, 0, LET_GO + 1)]
    assert attempts[-1] <= 2 * SELDOM + len(attempts), "what is worth nothing ends"
    assert memory.due(60 * MIB, 0, 2 * LET_GO)


def test_this_process_is_in_memory() -> None:
    assert resident() > MIB
