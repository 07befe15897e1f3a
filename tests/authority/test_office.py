"""Who gets a certificate: judged by the leader, from the token, once it is in the log that it was used."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from visor.protocol import codes, tokens
from visord.authority.issuing import (
    Authority,
    MemberNames,
    names_of,
    new_key,
    read_certificate,
    read_request,
    request_of,
)
from visord.authority.office import Asked, Office, World
from visord.peers.messages import ENROL, ENROLLED, well_formed
from visord.raft.configuration import Configuration, ConfigurationError, Member
from visord.state.auth.auth_store import AuthStore
from visord.state.auth.join_table import MAX_TTL
from visord.state.formats import OLDEST, SECRETS
from visord.state.refusal import Refusal

NOW_MS = 1_764_400_000_000
NOW = datetime.datetime.fromtimestamp(NOW_MS / 1000, datetime.UTC)
CLUSTER = "7f" * 16
ME, NEW = "1" * 16, "2" * 16
SECRET = b"s" * 32
REQUEST = request_of(new_key())


class Leader:
    """An office, and around it what it needs, as on the node that leads; `member` leads alone, or `leader` does."""

    def __init__(self, authority: Authority | None, member: str = ME) -> None:
        self.member, self.leader, self.term = member, member, 1
        self.is_leader = True
        founder = Member(ME, "n1", "10.0.0.1:8047", "n1.example:8046", True, False)
        self.committed_configuration = Configuration((founder,))
        self.table = AuthStore.closed()
        self.now = NOW_MS
        self.form = SECRETS
        self.current = True
        self.lost: Refusal | None = None
        self.said: list[tuple[str, list[Any]]] = []
        self.change("add_join", id="abcdefgh", digest=tokens.digest(SECRET), hosts=["n2.example", "10.0.0.2"])
        self.office = Office(
            authority,
            self,
            self.send,
            World(lambda: self.now, lambda: 0.0, lambda bits: 5),
            1,
            lambda: self.table,
            lambda reader: reader(self.current),
            self.submit,
            lambda: self.form,
            (CLUSTER,),
        )

    def change(self, action: str, **arguments: Any) -> None:
        assert self.table.change(action, arguments, self.now) is None

    def send(self, member: str, message: list[Any]) -> bool:
        assert well_formed(message)
        self.said.append((member, message))
        return True

    def submit(self, author: Any, frames: list[Any], size: int) -> None:
        assert author.principal == ""
        if self.lost is not None:
            author.fail(frames, self.lost)
        else:
            author.complete(frames, [self.table.change(*frame[3:5], self.now) for frame in frames])

    def ask(self, **other: Any) -> Any:
        asked = Asked("abcdefgh", SECRET, NEW, "n2", ["n2.example"], REQUEST)._replace(**other)
        answers: list[Any] = []
        self.office.join(asked, answers.append)
        (answer,) = answers
        return answer

    @property
    def used(self) -> str:
        found = self.table.joins.find("abcdefgh")
        return "" if found is None else found.member


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.found(CLUSTER, new_key(), NOW, 4)


@pytest.fixture
def leader(authority: Authority) -> Leader:
    return Leader(authority)


def test_who_has_a_token_gets_a_certificate_for_its_own_key(leader: Leader, authority: Authority) -> None:
    answer = leader.ask()
    made = read_certificate(answer["certificate"])
    assert names_of(made) == (CLUSTER, MemberNames(NEW, ("n2.example",)))
    assert made.public_key() == read_request(REQUEST)
    assert authority.made(made)
    assert (answer["name"], answer["peers"]) == ("n2", ["10.0.0.1:8047"])
    assert leader.used == NEW


def test_asked_again_for_the_same_key_it_answers_again_and_nobody_else_is_answered(leader: Leader) -> None:
    leader.ask()
    assert names_of(read_certificate(leader.ask()["certificate"]))[1].member == NEW
    for other in ({"member": "3" * 16}, {"request": request_of(new_key())}):
        refused = leader.ask(**other)
        assert isinstance(refused, Refusal)
        assert f"used by member {NEW}" in refused.text


def wrong_secret(leader: Leader) -> Any:
    return leader.ask(secret=b"x" * 32)


def unknown(leader: Leader) -> Any:
    return leader.ask(token="zzzzzzzz")


def revoked(leader: Leader) -> Any:
    leader.change("revoke_join", id="abcdefgh")
    return leader.ask()


def expired(leader: Leader) -> Any:
    leader.now += 3_600_000
    return leader.ask()


def another_host(leader: Leader) -> Any:
    return leader.ask(hosts=["n2.example", "n1.example"])


def no_host(leader: Leader) -> Any:
    return leader.ask(hosts=["*.example"])


def the_name_of_another(leader: Leader) -> Any:
    return leader.ask(name="n1")


def another_name(leader: Leader) -> Any:
    leader.change("revoke_join", id="abcdefgh")
    leader.change("add_join", id="abcdefgh", digest=tokens.digest(SECRET), name="n3")
    return leader.ask()


def a_member_s_host(leader: Leader) -> Any:
    leader.change("revoke_join", id="abcdefgh")
    leader.change("add_join", id="abcdefgh", digest=tokens.digest(SECRET))
    return leader.ask(hosts=["N1.example"])


def a_member_s_address_in_another_spelling(leader: Leader) -> Any:
    founder = Member(ME, "n1", "[2001:db8::1]:8047", "n1.example:8046", True, False)
    leader.committed_configuration = Configuration((founder,))
    leader.change("revoke_join", id="abcdefgh")
    leader.change("add_join", id="abcdefgh", digest=tokens.digest(SECRET))
    return leader.ask(hosts=["2001:0DB8:0::1"])


def removed(leader: Leader) -> Any:
    leader.committed_configuration = leader.committed_configuration._replace(removed=(NEW,))
    return leader.ask()


def no_request(leader: Leader) -> Any:
    return leader.ask(request=b"x" * 100)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (wrong_secret, "unknown"),
        (unknown, "unknown"),
        (revoked, "unknown"),
        (expired, "expired 0 s ago"),
        (another_host, "not for n1.example"),
        (no_host, "no name of a host"),
        (the_name_of_another, "another member's"),
        (another_name, "for the member n3, not for n2"),
        (a_member_s_host, "a host of the member n1"),
        (a_member_s_address_in_another_spelling, "2001:db8::1 is a host of the member n1"),
        (removed, "was removed"),
        (no_request, "request"),
    ],
)
def test_what_is_refused_is_told_in_words_and_uses_no_token(
    leader: Leader, ask: Callable[[Leader], Any], words: str
) -> None:
    refused = ask(leader)
    assert isinstance(refused, Refusal)
    assert (refused.code, words in refused.text) == ("denied", True), refused.text
    assert leader.used == ""


def test_without_a_name_or_hosts_of_its_own_the_token_s_are_taken(leader: Leader) -> None:
    leader.change("revoke_join", id="abcdefgh")
    leader.change("add_join", id="abcdefgh", digest=tokens.digest(SECRET), name="n9", hosts=["n9.example"])
    answer = leader.ask(name="", hosts=[])
    assert answer["name"] == "n9"
    assert names_of(read_certificate(answer["certificate"]))[1].hosts == ("n9.example",)


def test_without_hosts_in_the_token_a_machine_gets_those_that_nobody_has(leader: Leader) -> None:
    leader.change("revoke_join", id="abcdefgh")
    leader.change("add_join", id="abcdefgh", digest=tokens.digest(SECRET))
    answer = leader.ask(hosts=["n7.example"])
    assert names_of(read_certificate(answer["certificate"]))[1].hosts == ("n7.example",)


def test_an_address_of_the_token_may_be_spelled_in_another_way(leader: Leader) -> None:
    leader.change("revoke_join", id="abcdefgh")
    leader.change("add_join", id="abcdefgh", digest=tokens.digest(SECRET), hosts=["2001:db8:0::2"])
    answer = leader.ask(hosts=["2001:db8::2"])
    assert names_of(read_certificate(answer["certificate"]))[1].hosts == ("2001:db8::2",)


def test_nothing_is_signed_before_it_is_in_the_log_that_the_token_was_used(leader: Leader) -> None:
    leader.lost = Refusal("lost_leadership", "may have happened", {})
    assert leader.ask() == leader.lost
    leader.lost = None
    assert leader.ask()["name"] == "n2"


def test_a_cluster_without_an_authority_or_of_an_older_format_says_so(authority: Authority) -> None:
    assert Leader(None).ask().code == "unsupported"
    older = Leader(authority)
    older.form = OLDEST
    assert older.ask().code == "unsupported"


def test_a_leader_without_the_key_lets_the_next_one_be_asked(authority: Authority) -> None:
    leader = Leader(Authority.read(authority.pem))
    answers: list[Any] = []
    leader.office.join(Asked("abcdefgh", SECRET, NEW, "n2", ["n2.example"], REQUEST), answers.append)
    assert answers == []  # it will be asked again
    assert leader.used == ""


def test_where_nobody_can_tell_which_tokens_there_are_a_machine_may_ask_again(leader: Leader) -> None:
    leader.current = False
    refused = leader.ask()
    assert codes.FAMILY[refused.code] == codes.UNAVAILABLE
    assert leader.used == ""


def test_who_has_no_token_is_refused_where_it_asks_and_the_leader_hears_nothing(authority: Authority) -> None:
    replica = Leader(Authority.read(authority.pem), member="9" * 16)
    replica.leader, replica.is_leader = ME, False
    for _ in range(100):
        assert replica.ask(secret=b"x" * 32).code == "denied"
    assert replica.said == []


def test_a_replica_asks_the_leader_and_passes_its_answer_on(leader: Leader, authority: Authority) -> None:
    replica = Leader(Authority.read(authority.pem), member="9" * 16)
    replica.leader, replica.is_leader = ME, False
    answers: list[Any] = []
    replica.office.join(Asked("abcdefgh", SECRET, NEW, "n2", ["n2.example"], REQUEST), answers.append)
    ((to, question),) = replica.said
    assert (to, question[0]) == (ME, ENROL)
    leader.office.handlers[ENROL]("9" * 16, question)
    ((to, answer),) = leader.said
    assert (to, answer[0]) == ("9" * 16, ENROLLED)
    replica.office.handlers[ENROLLED](ME, answer)
    assert answers[0]["name"] == "n2"
    assert leader.used == NEW
    assert replica.used == ""  # it is the leader's log that says so


@pytest.mark.parametrize("fields", [["join", []], ["join", ["a"] * 6], ["renew", ["a", "b"]], ["else", []]])
def test_what_a_member_asks_that_is_no_question_is_refused(leader: Leader, fields: list[Any]) -> None:
    leader.office.handlers[ENROL]("9" * 16, [ENROL, 7, *fields])
    ((_, answer),) = leader.said
    assert answer[2] is False
    assert answer[3][0] == "bad_request"


def test_only_a_member_for_which_a_token_was_used_is_taken_in_and_only_as_it_says(leader: Leader) -> None:
    comes = Member(NEW, "n2", "10.0.0.2:8047", "10.0.0.2:8046", False, True)
    with pytest.raises(ConfigurationError, match="no token to join was used for n2"):
        leader.office.expected(comes)
    leader.ask()
    assert leader.office.expected(comes) == comes
    leader.now += MAX_TTL
    with pytest.raises(ConfigurationError, match="within a day"):
        leader.office.expected(comes)


def test_a_learner_s_token_gives_no_vote_and_a_named_one_no_other_name(leader: Leader) -> None:
    leader.change("revoke_join", id="abcdefgh")
    secret = {"digest": tokens.digest(SECRET), "hosts": ["n2.example"]}
    leader.change("add_join", id="abcdefgh", name="n2", learner=True, **secret)
    leader.ask()
    comes = Member(NEW, "n2", "10.0.0.2:8047", "10.0.0.2:8046", False, True)
    assert not leader.office.expected(comes).wants_vote
    with pytest.raises(ConfigurationError, match="called n2"):
        leader.office.expected(comes._replace(name="n1b"))


def test_where_members_bring_their_certificates_nobody_needs_a_token() -> None:
    comes = Member(NEW, "n2", "10.0.0.2:8047", "10.0.0.2:8046", False, True)
    assert Leader(None).office.expected(comes) == comes
