"""`visord join`: nothing is said to who is not proven, and what comes back is judged before anything is written."""

from __future__ import annotations

import datetime
import random
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from visor.protocol import tokens
from visord import config
from visord.authority.enrolling import Joined, enrol, judge_member, read_token, told_fault
from visord.authority.issuing import (
    Authority,
    MemberNames,
    names_of,
    new_key,
    read_certificate,
    read_request,
    request_of,
)
from visord.authority.location import BeginningError, locate
from visord.storage.directory import read_identity
from visord.storage.disk import OsDisk

NOW = datetime.datetime.now(datetime.UTC)
CLUSTER = "7f" * 16
WHERE = locate("n2", "127.0.0.1:9046", None, ["n2.example"])


def der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


class FakeMember:
    """A member that a machine asks: it shows certificates, and answers as the leader would."""

    def __init__(self, cluster: str = CLUSTER) -> None:
        self.authority = Authority.found(cluster, new_key(), NOW, 4)
        self.own = self.issue("1" * 16, request_of(new_key()))
        self.asked: list[dict[str, Any]] = []
        self.change: Callable[[dict[str, Any]], object] = lambda answer: None

    def issue(self, member: str, request: bytes) -> bytes:
        return self.authority.issue(read_request(request), MemberNames(member, ("n2.example",)), NOW, 6)

    def shown(self) -> list[bytes]:
        return [der(self.own), der(self.authority.pem)]

    def exchange(
        self, context: ssl.SSLContext, judge: Callable[[bytes], None], question: dict[str, Any]
    ) -> dict[str, Any]:
        judge(der(self.own))
        self.asked.append(question)
        certificate = self.issue(question["member"], question["request"])
        answer = {"certificate": certificate, "cluster": CLUSTER, "name": "n2", "peers": ["10.0.0.1:8047"]}
        self.change(answer)
        return answer


@pytest.fixture
def member() -> FakeMember:
    return FakeMember()


def join(member: FakeMember, path: Path, token: tokens.JoinToken | None = None) -> Joined:
    token = token or tokens.JoinToken(member.authority.digest, "abcdefghij", b"s" * 32)
    rng = random.Random(1)
    return enrol(
        OsDisk(), str(path), WHERE, token, "n1:8046", member.shown, member.exchange, named=False, rng=rng
    )


def test_the_directory_is_one_that_serve_runs(member: FakeMember, tmp_path: Path) -> None:
    path = tmp_path / "data"
    joined = join(member, path)
    identity = read_identity(OsDisk(), str(path))
    assert identity is not None
    assert (identity.cluster, identity.member, identity.node) == (CLUSTER, joined.member, "n2")
    assert (identity.founder, identity.closed) == (False, True)
    settings, _ = config.load({}, {}, path / "visord.toml")
    assert settings.peers.join == ("10.0.0.1:8047",)
    assert settings.node.name == "n2"
    kept = (path / "authority" / "member.pem").read_bytes()
    assert names_of(read_certificate(kept))[1].member == joined.member
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path / "authority" / "member.pem")
    assert not (path / "authority" / "ca-key.pem").exists()


def test_the_key_and_no_other_secret_leaves_the_machine(member: FakeMember, tmp_path: Path) -> None:
    join(member, tmp_path / "data")
    (question,) = member.asked
    pem = (tmp_path / "data" / "authority" / "member.pem").read_bytes()
    key = pem[pem.index(b"-----BEGIN PRIVATE KEY") :].splitlines()
    assert not any(line in repr(question).encode() for line in key[1:-1])
    assert question["name"] == ""  # the token says it
    secret = (b"s" * 32).hex().encode()
    assert not any(secret in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_nothing_is_said_where_the_digest_is_another(member: FakeMember, tmp_path: Path) -> None:
    token = tokens.JoinToken(FakeMember().authority.digest, "abcdefghij", b"s" * 32)
    with pytest.raises(BeginningError, match="another cluster, or somebody is in between; nothing was said"):
        join(member, tmp_path / "data", token)
    assert member.asked == []
    assert not (tmp_path / "data").exists()


def test_nothing_is_said_to_who_is_no_member(member: FakeMember) -> None:
    with pytest.raises(BeginningError, match="no member"):
        judge_member(member.authority, der(member.authority.pem), "n1:8046")
    with pytest.raises(BeginningError, match="no member of the cluster"):
        judge_member(member.authority, der(FakeMember().own), "n1:8046")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda answer: answer.pop("peers"), "an answer that is none"),
        (lambda answer: answer.update(certificate=b"x"), "no certificate"),
        (lambda answer: answer.update(certificate=FakeMember().own), "somebody else"),
        (lambda answer: answer.update(cluster="0" * 32), "somebody else"),
    ],
)
def test_an_answer_that_is_none_leaves_nothing_behind(
    member: FakeMember, tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    member.change = change
    with pytest.raises(BeginningError, match=words):
        join(member, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_clock_that_is_wrong_is_named() -> None:
    error = ssl.SSLCertVerificationError("x")
    error.verify_code, error.verify_message = 9, "certificate is not yet valid"
    told = str(told_fault(error, "n1:8046", datetime.datetime(2001, 2, 3, 4, 5, tzinfo=datetime.UTC)))
    assert "not valid yet, by the clock of this machine (2001-02-03 04:05 UTC)" in told
    error.verify_code = 10
    assert "has expired, by the clock" in str(told_fault(error, "n1:8046", NOW))
    error.verify_code, error.verify_message = 20, "unable to get local issuer certificate"
    assert "not made by its cluster's authority" in str(told_fault(error, "n1:8046", NOW))


def test_what_is_no_token_to_join_is_told_from_one_of_a_user() -> None:
    with pytest.raises(BeginningError, match="proves a user"):
        read_token(tokens.write(b"number", b"s" * 32))
    with pytest.raises(BeginningError, match="cut or mistyped"):
        read_token(tokens.write_join(b"a" * 32, b"number", b"s" * 32)[:-1])
    assert read_token(tokens.write_join(b"a" * 32, b"number", b"s" * 32) + "\n").secret == b"s" * 32
