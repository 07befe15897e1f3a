"""What operators hear of without asking: pure, with a clock that the test turns."""

from __future__ import annotations

import logging

from visord.serving.vigil import Line, Other, Sight, Vigil, Work

N2 = Other("b" * 16, "n2", "10.0.0.2:8047", voter=True, reachable=True)
N3 = Other("c" * 16, "n3", "10.0.0.3:8047", voter=True, reachable=True)
WELL = Sight(leader="a" * 16, others=(N2, N3))
NO_SPACE = "no space: /d: No space left on device, 0 bytes free"


class Clock:
    """Looks once a second, for as long as is asked for."""

    def __init__(self) -> None:
        self.now = 100.0
        self.vigil = Vigil()

    def tick(self, sight: Sight | None, seconds: int = 1) -> list[tuple[float, Line]]:
        """Return what was told, each with the seconds since the first of these looks."""
        began, told = self.now, []
        for _ in range(seconds):
            told += [(self.now - began, line) for line in self.vigil.tick(self.now, sight)]
            self.now += 1.0
        return told


def away(other: Other, why: str = "[Errno 111] Connection refused") -> Other:
    return other._replace(reachable=False, problem=why)


def test_a_node_that_is_well_is_not_told_of() -> None:
    assert Clock().tick(WELL, 300) == []


def test_an_alarm_is_raised_goes_on_and_is_cleared() -> None:
    clock = Clock()
    told = clock.tick(WELL._replace(alarms=(NO_SPACE,)), 150)
    assert [(at, line.level) for at, line in told] == [(at, logging.WARNING) for at in (0.0, 60.0, 120.0)]
    assert told[0][1].text == f"alarm raised: {NO_SPACE}"
    assert told[1][1].text == f"alarm goes on for 60 s: {NO_SPACE}"
    assert told[1][1].fields == {"alarm": "no space", "seconds": 60}
    ((at, line),) = clock.tick(WELL, 30)
    assert (at, line.level, line.text) == (5.0, logging.INFO, "alarm cleared after 150 s: no space")


def test_an_alarm_that_comes_and_goes_and_has_other_figures_each_time_is_one() -> None:
    clock, told = Clock(), []
    for number in range(20):
        told += clock.tick(WELL._replace(alarms=(f"held bytes: {number} of 20",)))
        told += clock.tick(WELL, 2)
    assert len(told) == 1
    assert "0 of 20" in told[0][1].text


def test_no_majority_is_told_again_while_it_lasts_with_who_is_away() -> None:
    clock = Clock()
    clock.tick(WELL)
    lost = Sight(leader=None, others=(away(N2), away(N3, "no answer within 3 s")))
    told = [(at, line) for at, line in clock.tick(lost, 35) if "majority" in line.text]
    assert [at for at, _ in told] == [3.0, 10.0, 20.0, 30.0]
    assert told[1][1] == Line(
        logging.WARNING,
        "no majority for 10 s: 1 of 3 voters can be reached, 2 are needed; not reachable: n2 (bbbbbbbbbbbbbbbb) at "
        "10.0.0.2:8047 ([Errno 111] Connection refused), n3 (cccccccccccccccc) at 10.0.0.3:8047 (no answer within 3 s)",
        {"seconds": 10, "voters": 3, "reachable": 1, "needed": 2},
    )
    back = clock.tick(WELL)
    assert [(line.level, line.text) for _, line in back] == [
        (logging.INFO, "there is a leader again after 35 s")
    ]


def test_an_election_is_no_trouble_and_a_start_tells_by_itself() -> None:
    clock = Clock()
    assert clock.tick(WELL._replace(leader=None), 2) == []
    assert clock.tick(WELL) == []
    assert clock.tick(WELL._replace(leader=None, ready=False), 60) == []


def test_a_majority_without_a_leader_is_told_as_that() -> None:
    (_, first), *_ = Clock().tick(WELL._replace(leader=None, others=(N2, away(N3))), 5)
    assert first.text.startswith(
        "no leader for 3 s, although 2 of 3 voters can be reached; not reachable: n3 ("
    )


def test_a_member_that_is_away_is_told_of_every_minute() -> None:
    told = Clock().tick(WELL._replace(others=(N2, away(N3))), 140)
    assert [at for at, _ in told] == [10.0, 70.0, 130.0]
    line = told[1][1]
    assert line.text == (
        "n3 (cccccccccccccccc) at 10.0.0.3:8047 has been away for 70 s: [Errno 111] Connection refused"
    )
    assert line.fields["member"] == "n3"
    assert line.fields["member_id"] == "c" * 16
    assert line.level == logging.WARNING


def test_a_member_that_is_connected_and_silent_is_told_of_and_that_it_is_back() -> None:
    """A follower was stopped for 15 seconds, and the leader's log had no line."""
    clock, told = Clock(), []
    for second in range(15):
        told += clock.tick(WELL._replace(others=(N2, N3._replace(silent=float(second)))))
    assert len(told) == 1
    assert told[0][1].level == logging.WARNING
    assert "n3 (cccccccccccccccc) is connected and has answered nothing for 5 s" in told[0][1].text
    ((_, line),) = clock.tick(WELL._replace(others=(N2, N3._replace(silent=0.1))))
    assert line.text == "n3 (cccccccccccccccc) answers again after 15 s"
    assert line.level == logging.INFO


def test_who_is_no_member_any_more_is_forgotten() -> None:
    clock = Clock()
    assert len(clock.tick(WELL._replace(others=(N2, away(N3))), 15)) == 1
    assert clock.tick(WELL._replace(others=(N2,)), 200) == []
    assert clock.vigil._away == {}


def test_a_process_that_stood_still_says_so() -> None:
    clock = Clock()
    clock.tick(WELL, 3)
    clock.now += 15.0
    ((_, line),) = clock.tick(WELL)
    assert line.text.startswith("this process stood still for 15 s")
    assert (line.level, line.fields) == (logging.WARNING, {"seconds": 15.0})
    clock.now += 3.0  # a busy machine
    assert clock.tick(WELL) == []


def test_loading_at_full_speed_is_not_standing_still() -> None:
    clock = Clock()
    assert clock.tick(None) == []
    clock.now += 60.0
    assert clock.tick(WELL) == []


def test_long_work_is_told_every_two_seconds_with_size_and_percent() -> None:
    clock, told = Clock(), []
    for second in range(7):
        work = Work("fetching a checkpoint of n1 (a)", second * 10_000_000, 300_000_000, "MB")
        told += clock.tick(WELL._replace(work=(work,)))
    assert [line.text for _, line in told] == [
        "fetching a checkpoint of n1 (a): 20.0 of 300.0 MB, 6 %",
        "fetching a checkpoint of n1 (a): 40.0 of 300.0 MB, 13 %",
        "fetching a checkpoint of n1 (a): 60.0 of 300.0 MB, 20 %",
    ]
    assert told[0][1].fields == {"bytes": 20_000_000, "of_bytes": 300_000_000, "percent": 6}
    assert clock.tick(WELL, 5) == []
    hashing = WELL._replace(work=(Work("hashing the state", 150, 300, "files"),))
    assert [line.text for _, line in clock.tick(hashing, 4)] == ["hashing the state: 150 of 300 files, 50 %"]
    assert clock.tick(WELL) == []
    assert clock.tick(hashing, 2) == []  # what is quick is not told of
