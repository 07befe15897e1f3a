"""Passwords prove who a connection is, cost what they may and no more, and come into no file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.admin.members import Members
from tests.auth.test_audit import lines
from tests.cli.cli_harness import Visor
from tests.cli.conftest import bare
from tests.wire import Refused, Wire
from visor.protocol import tokens, verbs
from visord.serving import passwords
from visord.serving.passwords import Passwords, within_bounds
from visord.state.auth.own import LONGEST
from visord.state.refusal import Refusal
from visord.storage.worker import Inline

__all__ = ["bare"]
SECRET: Final = "/correct horse battery"
"""It begins with a slash, as paths do."""
OTHER: Final = "staple of another kind"
WRITTEN: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$idhQTRSq9fI2mPa82LFqug$diFK13RdZ3ph5EwjPQpcMMUCCEkWIcQnisXghxUgEt8"
)


# -- computing ---------------------------------------------------------------------------------------------


class Hasher:
    """A digest that costs nothing, and counts."""

    def __init__(self) -> None:
        self.verified: list[str] = []
        self.broken = False

    def hash(self, password: str) -> str:
        return WRITTEN.replace("idhQTRSq9fI2mPa82LFqug", password.encode().hex().ljust(22, "0")[:60])

    def verify(self, digest: str, password: str) -> bool:
        self.verified.append(digest)
        if self.broken:
            raise MemoryError
        return digest == self.hash(password)


class Late:
    """A thread that has its time."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], Any], Callable[[Any, BaseException | None], None]]] = []

    def submit(self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        self.jobs.append((job, done))

    def work(self) -> None:
        for job, done in self.jobs:
            done(job(), None)
        self.jobs.clear()


class World:
    """Passwords at a time of its own; `told` holds the answers."""

    def __init__(self, thread: Any = None) -> None:
        self.now = 0.0
        self.hasher = Hasher()
        self.told: list[Any] = []
        self.passwords = Passwords(lambda: self.now, thread or Inline(), lambda: self.hasher)

    def prove(self, digest: str | None, password: Any, address: str = "10.0.0.7") -> Any:
        self.passwords.prove(digest, password, address, self.told.append)
        return self.told[-1] if self.told else None


def test_a_password_is_compared_with_its_digest() -> None:
    world = World()
    digest = world.hasher.hash(SECRET)
    assert world.prove(digest, SECRET) is True
    assert world.prove(digest, OTHER) is False
    assert world.prove(digest, "x" * (passwords.MOST + 1)) is False
    for odd in (None, 1, b"bytes", ["a"], "line\nbreak"):
        assert world.prove(digest, odd) is False


def test_what_there_is_not_takes_as_long() -> None:
    world = World()
    assert world.prove(None, SECRET) is False
    assert world.prove("no digest", SECRET) is False
    assert world.prove(WRITTEN.replace("19456", "9999999"), SECRET) is False
    assert len(world.hasher.verified) == 3  # each was compared with something


def test_trouble_of_this_machine_is_no_wrong_password() -> None:
    world = World()
    digest = world.hasher.hash(SECRET)
    world.hasher.broken = True
    for _ in range(passwords.FREE + 1):
        refused = world.prove(digest, SECRET)
        assert isinstance(refused, Refusal) and refused.code == "internal"
    world.hasher.broken = False
    assert world.prove(digest, SECRET) is True


def test_the_library_tells_another_password_and_what_is_no_digest() -> None:
    hasher = passwords._Argon2()
    digest = hasher.hash(SECRET)
    assert within_bounds(digest) and hasher.verify(digest, SECRET)
    assert not hasher.verify(digest, OTHER)
    assert not hasher.verify("rubbish", SECRET)


def test_digests_that_cost_too_much_are_known() -> None:
    assert within_bounds(WRITTEN)
    assert within_bounds(
        WRITTEN.replace("m=19456,t=2,p=1", "m=65536,t=3,p=4")
    )  # what libraries make by default
    for wrong in ("m=65537", "t=5", "p=5", "t=0", "m=19456,t=2,p=1,"):
        field = wrong[:2]
        bad = ",".join(wrong if part.startswith(field) else part for part in ("m=19456", "t=2", "p=1"))
        assert not within_bounds(WRITTEN.replace("m=19456,t=2,p=1", bad)), wrong
    assert not within_bounds("$argon2i$v=19$m=16,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")


def test_guessing_from_one_address_ends_and_others_go_on() -> None:
    world = World()
    digest = world.hasher.hash(SECRET)
    for _ in range(passwords.FREE):
        assert world.prove(digest, OTHER) is False
    refused = world.prove(digest, SECRET)
    assert isinstance(refused, Refusal) and refused.code == "overloaded"
    assert world.prove(digest, SECRET, "10.0.0.8") is True
    world.now = passwords.WINDOW + 0.1
    assert world.prove(digest, SECRET) is True


def test_few_wait() -> None:
    late = Late()
    world = World(late)
    digest = world.hasher.hash(SECRET)
    for number in range(passwords.WAITING_EACH + 1):
        world.passwords.prove(digest, SECRET, "10.0.0.7", world.told.append)
        assert len(world.told) == (number == passwords.WAITING_EACH)
    for number in range(passwords.WAITING):
        world.passwords.digest(SECRET, f"10.0.1.{number}", world.told.append)
    assert len(late.jobs) == passwords.WAITING
    refused = [each for each in world.told if isinstance(each, Refusal)]
    assert len(refused) == 1 + passwords.WAITING_EACH and {each.code for each in refused} == {"overloaded"}
    late.work()
    world.passwords.digest(SECRET, "10.0.0.7", world.told.append)
    assert len(late.jobs) == 1  # there is room again


def test_a_thread_that_cannot_begin_takes_no_place() -> None:
    class Exhausted:
        def submit(self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
            raise RuntimeError("can't start new thread")

    world = World(Exhausted())
    for _ in range(passwords.WAITING + 1):
        assert world.prove(world.hasher.hash(SECRET), SECRET).code == "internal"


def test_the_addresses_that_are_remembered_are_bounded() -> None:
    world = World()
    digest = world.hasher.hash(SECRET)
    for number in range(passwords.ADDRESSES + 10):
        world.prove(digest, OTHER, str(number))
    assert len(world.passwords._wrong) == passwords.ADDRESSES


# -- on the wire -------------------------------------------------------------------------------------------


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    with Members(tmp_path) as running:
        running.start("n1")
        yield running


@pytest.fixture
def closed(members: Members) -> Iterator[tuple[Wire, str]]:
    """A closed registry that knows ada and her password; who may do everything there, and its address."""
    address = members.address("n1")
    with Wire(address) as boss:
        set_password(boss, "ada", SECRET, make=True)
        boss.call(verbs.AUTH, "set_user", {"name": "boss", "roles": ["root"]})
        with Wire(address) as other:
            token = {"id": "bosstoken", "user": "boss", "digest": tokens.digest(bytes(32))}
            other.call(verbs.AUTH, "add_token", token)
        boss.call(verbs.AUTH, "set_user", {"name": "unused", "roles": []})
        yield boss, address


def set_password(wire: Wire, user: str, password: str, *, make: bool = False) -> None:
    if make:
        wire.call(verbs.AUTH, "set_role", {"name": "writer", "grants": [["write", [verbs.SEL_TREE, "/a"]]]})
        wire.call(verbs.AUTH, "set_user", {"name": user, "roles": ["writer"]})
    digest = wire.call(verbs.PASSWORD, "digest", password)
    wire.call(verbs.AUTH, "set_password", {"name": user, "password": digest})


def new_token(wire: Wire, user: str, ttl: int) -> Any:
    number = f"t{ttl % 10**9:09}"
    row = {"id": number, "user": user, "digest": tokens.digest(bytes(32)), "ttl": ttl}
    return wire.call(verbs.AUTH, "add_token", row)


def code_of(wire: Wire, verb: int, *fields: Any) -> str:
    with pytest.raises(Refused) as refused:
        wire.call(verb, *fields)
    return refused.value.code


def test_a_password_makes_a_token_of_its_own_user_and_nothing_else(
    closed: tuple[Wire, str], tmp_path: Path
) -> None:
    boss, address = closed
    boss.call(verbs.AUTH, "set_user", {"name": "anonymous", "roles": []})
    with Wire(address, hello={"actor": "laptop"}) as ada:
        assert code_of(ada, verbs.SET, "/a/x", b"1") == "denied"
        assert code_of(ada, verbs.PASSWORD, "digest", OTHER) == "denied"
        wrong = {code_of(ada, verbs.PASSWORD, "prove", user, OTHER) for user in ("ada", "boss", "nobody")}
        assert wrong == {"denied"}
        assert ada.call(verbs.PASSWORD, "prove", "ada", SECRET) == {"user": "ada"}
        ada.call(verbs.SET, "/a/x", b"1")
        assert code_of(ada, verbs.SET, "/b", b"1") == "denied"
        new_token(ada, "ada", LONGEST)
        for user, ttl in (("ada", LONGEST + 1), ("ada", 0), ("boss", 1000)):
            with pytest.raises(Refused, match="denied"):
                new_token(ada, user, ttl)
        assert code_of(ada, verbs.AUTH, "set_user", {"name": "ada", "roles": ["root"]}) == "denied"
        assert code_of(ada, verbs.PASSWORD, "prove", "ada", SECRET) == "bad_request"  # it is proven
        set_password(ada, "ada", OTHER)  # its own; from here on the one of before proves nothing
        assert code_of(ada, verbs.SET, "/a/x", b"2") == "denied"
    failed = lines(tmp_path, "login_failed")
    assert len(failed) == 3 and {line["address"] for line in failed} == {"127.0.0.1"}
    assert "ada" in [line["user"] for line in lines(tmp_path, "login")]
    whole = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    for secret in (SECRET, OTHER):
        assert secret.encode() not in whole


def test_who_has_no_role_logs_in_all_the_same(closed: tuple[Wire, str]) -> None:
    """What is refused at the door to who has no grant at all is not what a password is enough for."""
    boss, address = closed
    boss.call(verbs.AUTH, "set_user", {"name": "bob", "roles": []})
    set_password(boss, "bob", OTHER)
    boss.call(verbs.AUTH, "set_user", {"name": "anonymous", "roles": []})
    with Wire(address) as bob:
        bob.call(verbs.PASSWORD, "prove", "bob", OTHER)
        new_token(bob, "bob", 1000)
        with pytest.raises(Refused, match="denied"):
            new_token(bob, "ada", 2000)
        row = {"name": "bob", "password": WRITTEN}
        bob.call(verbs.AUTH, "set_password", row)
        assert code_of(bob, verbs.AUTH, "set_password", row) == "denied"  # the one that was said is another


def test_a_connection_is_one_user_even_if_it_proves_two_at_once(closed: tuple[Wire, str]) -> None:
    """Else a watch would go on that was judged by the rights of the first, when the first has none any more."""
    boss, address = closed
    boss.call(verbs.AUTH, "set_user", {"name": "bob", "roles": []})
    set_password(boss, "bob", OTHER)
    with Wire(address) as both:
        first, second = both.next_id(), both.next_id()
        both.send(
            [verbs.PASSWORD, first, "prove", "ada", SECRET], [verbs.PASSWORD, second, "prove", "bob", OTHER]
        )
        assert both.answer(first) == {"user": "ada"}
        with pytest.raises(Refused, match="bad_request"):
            both.answer(second)
        assert both.call(verbs.ACCESS, "whoami", {})[1]["user"] == "ada"


def test_a_token_is_not_enough_to_make_another(closed: tuple[Wire, str]) -> None:
    boss, address = closed
    with Wire(address) as ada:
        ada.call(verbs.PASSWORD, "prove", "ada", SECRET)
        row = {"id": "adastoken", "user": "ada", "digest": tokens.digest(b"s" * 32), "ttl": 60_000}
        ada.call(verbs.AUTH, "add_token", row)
    boss.call(verbs.AUTH, "set_user", {"name": "anonymous", "roles": []})
    with Wire(address) as again:
        again.call(verbs.PASSWORD, "prove", "ada", SECRET)
        text = tokens.write(b"123456", b"s" * 32)
        made = tokens.read(text)
        assert made is not None
        again.call(verbs.AUTH, "add_token", {**row, "id": made.id})
    with Wire(address, hello={"token": text}) as holder:
        assert code_of(holder, verbs.AUTH, "add_token", {**row, "id": "anotherone"}) == "denied"
        digest = WRITTEN
        assert code_of(holder, verbs.AUTH, "set_password", {"name": "ada", "password": digest}) == "denied"


def test_bad_questions_are_told(closed: tuple[Wire, str]) -> None:
    boss, _ = closed
    for asked in ((), ("digest",), ("digest", "short"), ("digest", 5), ("prove", "ada"), ("other", "a", "b")):
        assert code_of(boss, verbs.PASSWORD, *asked) == "bad_request"


def test_the_command_keeps_no_password(bare: Visor, closed: tuple[Wire, str], tmp_path: Path) -> None:
    _, address = closed
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text(f"{OTHER}\n")
    bare.ok("user", "password", "ada", "--password-file", file, "--addr", address)
    told = bare.json("login", address, "--user", "ada", "--password-file", file, "--name", "it")
    assert (told["context"], told["user"]) == ("it", "ada")
    me = bare.json("whoami")
    assert me["user"] == "ada" and me["expires"] is not None
    kept = Path(bare.environment["XDG_CONFIG_HOME"])
    assert OTHER.encode() not in b"".join(file.read_bytes() for file in kept.rglob("*") if file.is_file())
    file.write_text("another one, which is wrong\n")
    wrong = bare("login", address, "--user", "ada", "--password-file", file)
    assert (wrong.code, "not its password" in wrong.err) == (5, True)
    assert bare("login", address, "--user", "ada").code == 2  # no terminal to ask at
    bare.ok("user", "password", "ada", "--remove", "--addr", address)
    assert bare("login", address, "--user", "ada", "--password-file", file).code == 5
