"""A member's certificate renews itself in time, under a new key and the same names, and says so when it cannot."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from visord.authority.authority_files import AuthorityFiles
from visord.authority.issuing import (
    Authority,
    MemberNames,
    key_pem,
    names_of,
    new_key,
    read_certificate,
    read_request,
    request_of,
)
from visord.authority.office import Office, World
from visord.authority.renewal import RETRY_SECONDS, Renewal
from visord.peers.messages import ENROL, ENROLLED
from visord.raft.configuration import Configuration, Member
from visord.state.auth.auth_store import AuthStore
from visord.state.formats import SECRETS
from visord.state.refusal import Refusal
from visord.storage.disk import OsDisk
from visord.storage.errors import DamageError
from visord.storage.worker import Inline
from visord.tls.upkeep import Upkeep

BEGAN = 1_764_400_000.0
DAY = 86_400.0
CLUSTER = "7f" * 16
ME, LEADER = "1" * 16, "2" * 16
NAMES = MemberNames(ME, ("n1.example", "10.0.0.1"))


def at(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


class Node:
    """A member and its certificate of 90 days, at a time that tests set; `holds` the authority's key, or asks."""

    def __init__(self, folder: Path, *, holds: bool, random: float = 0.5) -> None:
        self.now = BEGAN
        self.clusters = [CLUSTER]
        self.authority = Authority.found(CLUSTER, new_key(), at(BEGAN), 4)
        self.files = AuthorityFiles(OsDisk(), str(folder))
        self.files.make()
        key = new_key()
        certificate = self.authority.issue(read_request(request_of(key)), NAMES, at(BEGAN), 6)
        self.files.keep_member(certificate, self.authority.pem, key_pem(key))
        self.member, self.leader, self.is_leader, self.term = ME, LEADER, False, 1
        members = [Member(one, one, f"{one}:1", "", True, False) for one in (ME, LEADER)]
        self.committed_configuration = Configuration(tuple(members))
        self.said: list[list[Any]] = []
        self.office = self.make_office(self.authority if holds else Authority.read(self.authority.pem), self)
        self.random = random
        self.renewal = self.make_renewal()

    def make_office(self, authority: Authority, consensus: Any) -> Office:
        world = World(lambda: int(self.now * 1000), lambda: self.now, lambda bits: 7)
        table = AuthStore()

        def send(member: str, message: list[Any]) -> bool:
            self.said.append(message)
            return True

        return Office(
            authority,
            consensus,
            send,
            world,
            1,
            lambda: table,
            lambda reader: reader(True),
            self.no,
            lambda: SECRETS,
            self.clusters,
        )

    def no(self, *arguments: Any) -> None:
        raise AssertionError("nothing is written for a renewal")

    def make_renewal(self) -> Renewal:
        return Renewal(
            self.office, self.files, self, lambda: self.now, lambda: self.now, lambda: self.random, Inline()
        )

    def leads(self) -> Office:
        """Return the office of the leader, who holds the key."""
        consensus = SimpleNamespace(
            member=LEADER,
            leader=LEADER,
            is_leader=True,
            term=1,
            committed_configuration=self.committed_configuration,
        )
        return self.make_office(self.authority, consensus)

    @property
    def certificate(self) -> bytes:
        found = self.files.read_member()
        assert found is not None
        return found

    def go_on(self, days: float, step: float = 1.0) -> None:
        """Live for so many days."""
        end = self.now + days * DAY
        while self.now < end:
            self.now += step * DAY
            self.renewal.tick()


@pytest.mark.parametrize(("random", "part"), [(0.0, 0.5), (1.0, 0.8)])
def test_it_is_renewed_at_a_random_moment_under_a_new_key_and_the_same_names(
    tmp_path: Path, random: float, part: float
) -> None:
    node = Node(tmp_path, holds=True, random=random)
    before = node.certificate
    upkeep = Upkeep("peers.tls_cert", Path(node.files.member), [Path(node.files.member)], lambda: None)
    node.go_on(part * 90 - 1)
    assert node.certificate == before
    node.go_on(2)
    after = node.certificate
    assert names_of(read_certificate(after)) == names_of(read_certificate(before)) == (CLUSTER, NAMES)
    assert read_certificate(after).public_key() != read_certificate(before).public_key()
    assert node.authority.made(read_certificate(after))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(node.files.member)  # the key is its own
    ends = upkeep.ends
    assert upkeep.tick()  # the file is read again, as it changed
    assert upkeep.ends > ends + 30 * DAY


def test_years_later_it_is_valid_still(tmp_path: Path) -> None:
    node = Node(tmp_path, holds=True)
    node.go_on(3 * 365, step=1)
    found = read_certificate(node.certificate)
    assert found.not_valid_before_utc.timestamp() < node.now < found.not_valid_after_utc.timestamp()
    assert not list(node.renewal.alarms())


def test_a_member_without_the_key_asks_the_leader_and_never_tells_its_own(tmp_path: Path) -> None:
    node = Node(tmp_path, holds=False)
    before = node.certificate
    node.go_on(70, step=70)
    (question,) = node.said
    assert question[0] == ENROL
    assert b"PRIVATE" not in repr(question).encode()
    leader = node.leads()
    leader.handlers[ENROL](ME, question)
    node.office.handlers[ENROLLED](LEADER, node.said[1])
    assert node.certificate != before
    assert names_of(read_certificate(node.certificate)) == (CLUSTER, NAMES)


def test_one_that_is_no_member_any_more_gets_none(tmp_path: Path) -> None:
    node = Node(tmp_path, holds=True)
    node.committed_configuration = Configuration(())
    before = node.certificate
    node.go_on(80)
    assert node.certificate == before
    refused: list[Any] = []
    node.office.renew(request_of(new_key()), before, refused.append)
    assert isinstance(refused[0], Refusal)
    assert "no member" in refused[0].text


def test_nobody_renews_the_certificate_of_another_or_of_another_authority(tmp_path: Path) -> None:
    node = Node(tmp_path, holds=True)
    request = request_of(new_key())
    other = Authority.found(CLUSTER, new_key(), at(BEGAN), 9)
    strange = other.issue(read_request(request), NAMES, at(BEGAN), 6)
    for member, certificate in (
        (LEADER, node.certificate),
        (ME, strange),
        (ME, node.authority.pem),
        (ME, b"x"),
    ):
        node.said.clear()
        node.leads().handlers[ENROL](member, [ENROL, 1, "renew", [request, certificate]])
        assert node.said[0][2] is False, certificate
        assert node.said[0][3][0] == "denied"


def broken_leader(node: Node) -> dict[str, Any] | Refusal:
    return Refusal("denied", "not today", {})


def another_s(node: Node) -> dict[str, Any] | Refusal:
    request = read_request(request_of(new_key()))
    return {"certificate": node.authority.issue(request, NAMES, at(node.now), 6)}


def none_at_all(node: Node) -> dict[str, Any] | Refusal:
    return {}


@pytest.mark.parametrize("answer", [broken_leader, another_s, none_at_all])
def test_what_fails_changes_nothing_becomes_an_alarm_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Node], dict[str, Any] | Refusal]
) -> None:
    node = Node(tmp_path, holds=True)
    before = node.certificate
    with monkeypatch.context() as broken:
        broken.setattr(node.office, "renew", lambda request, certificate, reply: reply(answer(node)))
        node.go_on(70, step=70)
        assert not list(node.renewal.alarms())  # once may pass
        node.now += RETRY_SECONDS
        node.renewal.tick()
    (alarm,) = node.renewal.alarms()
    assert alarm.startswith("certificate not renewed: 2 times")
    assert node.certificate == before
    node.renewal.tick()
    assert node.certificate == before  # not at once
    node.now += RETRY_SECONDS
    node.renewal.tick()
    assert node.certificate != before
    assert not list(node.renewal.alarms())


def test_a_disk_that_fails_leaves_the_certificate_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path, holds=True)
    before = node.certificate

    def full(*arguments: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(node.files, "keep_member", full)
        node.go_on(70, step=70)
        node.now += RETRY_SECONDS
        node.renewal.tick()
    assert node.certificate == before
    (alarm,) = node.renewal.alarms()
    assert "No space left" in alarm


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    node = Node(tmp_path, holds=True)
    Path(node.files.member).write_bytes(b"x")
    with pytest.raises(DamageError, match=r"member\.pem"):
        node.make_renewal()
    Path(node.files.member).unlink()
    assert node.make_renewal().due is None  # the operator brings another one


def test_after_a_recovery_the_survivor_s_certificate_is_renewed_for_the_new_cluster_at_once(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path, holds=True)
    node.clusters = ["8e" * 16, CLUSTER]
    node.office = node.make_office(node.authority, node)
    node.renewal = node.make_renewal()
    node.go_on(0.01, step=0.01)
    assert names_of(read_certificate(node.certificate)) == ("8e" * 16, NAMES)
    after = node.certificate
    node.go_on(30)
    assert node.certificate == after  # and then in its time
    refused = node.office._renewed(LEADER, request_of(new_key()), after)
    assert isinstance(refused, Refusal)


def test_members_of_the_cluster_before_get_no_certificate_of_the_recovered_one(tmp_path: Path) -> None:
    node = Node(tmp_path, holds=True)
    key, names = new_key(), MemberNames(LEADER, ("n2.example",))
    theirs = node.authority.issue(read_request(request_of(key)), names, at(BEGAN), 6)
    node.clusters = ["8e" * 16, CLUSTER]
    node.make_office(
        node.authority,
        SimpleNamespace(
            member=ME, leader=ME, is_leader=True, term=1, committed_configuration=node.committed_configuration
        ),
    ).handlers[ENROL](LEADER, [ENROL, 1, "renew", [request_of(key), theirs]])
    assert node.said[0][2] is False
