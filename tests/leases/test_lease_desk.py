"""A node's leases: who is answered, what is proposed, and never both kept and gone."""

from __future__ import annotations

from tests.leases.clerk import Desk
from visor.protocol import verbs as v
from visord.state.refusal import Refusal

NO_QUORUM = Refusal("no_quorum", "nobody answers", {})


def test_a_lease_that_nobody_keeps_goes_after_its_time() -> None:
    desk = Desk()
    lease = desk.grant(2000)
    desk.clerk.set("/a", lease)
    desk.pass_time(1.9)
    assert desk.lives(lease)
    desk.pass_time(0.2)
    assert not desk.lives(lease)
    assert desk.clerk.changes(2) == [(v.EXPIRE, "/a")]


def test_kept_leases_live_on() -> None:
    desk = Desk()
    one, two = desk.grant(2000), desk.grant(2000)
    for _ in range(10):
        desk.pass_time(1.0)
        assert desk.keep(one, 77) == [[[one, 2000], [77, 0]]]
    assert (desk.lives(one), desk.lives(two)) == (True, False)


def test_a_keep_alive_during_an_expiry_waits_for_what_becomes_of_it() -> None:
    desk = Desk()
    desk.prompt = False
    lease, other = desk.grant(2000), desk.grant(60_000)
    desk.pass_time(2.1)
    assert desk.proposed
    answers, alone = desk.keep(lease, other), desk.keep(other)
    assert answers == []
    assert alone == [[[other, 60_000]]], "it holds up nobody else"
    desk.apply()
    assert answers == [[[lease, 0], [other, 60_000]]]


def test_a_keep_alive_wins_when_the_expiry_fails() -> None:
    desk = Desk()
    desk.prompt = False
    lease = desk.grant(2000)
    desk.pass_time(2.1)
    (frames,), desk.proposed = desk.proposed, []
    answers = desk.keep(lease)
    desk.leases.fail(frames, Refusal("no_space", "full", {}))
    assert answers == [[[lease, 2000]]]
    desk.pass_time(1.9)
    assert desk.proposed == []
    desk.pass_time(0.3)
    assert len(desk.proposed) == 1


def test_nothing_is_answered_or_expired_while_leadership_is_not_sure() -> None:
    desk = Desk()
    lease = desk.grant(2000)
    desk.sure = False
    answers = desk.keep(lease)
    desk.pass_time(5.0)
    assert answers == []
    assert desk.lives(lease)
    desk.confirm(NO_QUORUM)
    assert answers == [NO_QUORUM]
    desk.sure = True
    desk.pass_time(1.9)
    assert desk.lives(lease), "nobody could keep it meanwhile, so it begins anew"
    desk.pass_time(0.3)
    assert not desk.lives(lease)


def test_a_confirmation_that_came_late_renews_too() -> None:
    desk = Desk()
    lease = desk.grant(2000)
    desk.sure = False
    desk.pass_time(2.1)
    assert len(desk.confirming) == 1, "it is asked once"
    desk.pass_time(5.0)
    desk.confirm()
    desk.sure = True
    desk.pass_time(1.9)
    assert desk.lives(lease)
    desk.pass_time(0.3)
    assert not desk.lives(lease)


def test_a_confirmation_that_never_comes_is_asked_for_again() -> None:
    desk = Desk()
    lease = desk.grant(2000)
    desk.sure = False
    desk.pass_time(2.1)
    desk.confirming.clear()
    desk.pass_time(10.1)
    assert len(desk.confirming) == 1
    desk.confirm()
    assert not desk.lives(lease)


def test_a_new_leadership_gives_a_full_time_and_voids_what_was_proposed() -> None:
    desk = Desk()
    desk.prompt = False
    lease = desk.grant(2000)
    desk.pass_time(2.1)
    assert desk.proposed
    desk.leadership = 0
    desk.leases.tick()
    assert [refusal.code for refusal in desk.keep(lease)] == ["not_leader"]
    desk.clerk.term = desk.leadership = 5
    desk.leases.tick()
    answers = desk.keep(lease)
    assert answers == [[[lease, 2000]]]


def test_an_expiry_that_the_old_leader_left_behind_in_a_queue_changes_nothing() -> None:
    desk = Desk()
    desk.prompt = False
    lease = desk.grant(2000)
    desk.pass_time(2.1)
    desk.clerk.term = desk.leadership = 5
    desk.leases.tick()
    assert desk.keep(lease) == [[[lease, 2000]]]
    desk.apply()  # appended by the new leader, in its term
    assert desk.lives(lease)


def test_a_parked_keep_alive_is_answered_when_the_leadership_ends() -> None:
    desk = Desk()
    desk.prompt = False
    lease = desk.grant(2000)
    desk.pass_time(2.1)
    answers = desk.keep(lease)
    assert answers == []
    desk.leadership = 0
    desk.leases.tick()
    assert [refusal.code for refusal in answers] == ["not_leader"]


def test_a_restart_gives_a_full_time_again() -> None:
    desk = Desk()
    lease = desk.grant(5000)
    desk.clerk.set("/a", lease)
    desk.pass_time(4.5)
    again = desk.restart(term=2)
    again.pass_time(4.9)
    assert again.lives(lease)
    again.pass_time(0.2)
    assert not again.lives(lease)
    assert not again.clerk.there("/a")


def test_no_room_for_writes_means_no_expiry_until_there_is_some() -> None:
    desk = Desk()
    lease = desk.grant(2000)
    desk.refused = Refusal("no_space", "full", {})
    desk.pass_time(5)
    assert desk.lives(lease)
    assert desk.keep(lease) == [[[lease, 2000]]]
    desk.pass_time(5)
    desk.refused = None
    desk.pass_time(0.1)
    assert not desk.lives(lease)


def test_many_leases_go_in_several_commands_one_after_another() -> None:
    desk = Desk()
    leases = [desk.grant(1000) for _ in range(30)]
    for number, lease in enumerate(leases):
        for name in range(400):
            desk.clerk.set(f"/{number}/{name}", lease)
    desk.prompt = False
    desk.pass_time(1.1)
    rounds = 0
    while desk.proposed:
        assert len(desk.proposed) == 1
        assert sum(400 for _ in desk.proposed[0]) <= 8192 + 400
        desk.apply()
        rounds += 1
    assert rounds == 2
    assert not any(map(desk.lives, leases))


def test_a_lease_is_described_with_the_time_it_has_left() -> None:
    desk = Desk()
    lease = desk.grant(5000)
    desk.clerk.set("/b", lease)
    desk.clerk.set("/a", lease)
    desk.pass_time(1.0)
    answers: list[object] = []
    desk.leases.request(v.LEASE, [lease], answers.append)
    desk.leases.request(v.LEASE, [99], answers.append)
    ((rev, ttl, left, files), missing) = answers  # type: ignore[misc]
    assert (rev, ttl, files) == (2, 5000, ["/a", "/b"])
    assert 3900 <= left <= 4000
    assert missing.code == "lease_not_found"


def test_wrong_fields_are_refused() -> None:
    desk = Desk()
    answers: list[Refusal] = []
    for verb, fields in [
        (v.KEEPALIVE, []),
        (v.KEEPALIVE, [5]),
        (v.KEEPALIVE, [["x"]]),
        (v.KEEPALIVE, [[1], 2]),
        (v.KEEPALIVE, [[True]]),
        (v.LEASE, [0]),
        (v.LEASE, [None]),
    ]:
        desk.leases.request(verb, fields, answers.append)
    desk.leases.request(v.KEEPALIVE, [list(range(5000))], answers.append)
    assert [refusal.code for refusal in answers] == ["bad_request"] * 7 + ["too_large"]
