"""A machine with a token at a member's door: what it gets, and that it stays a stranger for all else."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import visor
from tests.authority.conftest import dial, serve
from tests.tls.conftest import SecureWire
from tests.wire import Closed, Refused
from visor.protocol import tokens, verbs
from visord import embed
from visord.authority import beginning
from visord.authority.founding import Founded
from visord.authority.issuing import new_key, request_of, shown_digest
from visord.authority.location import BeginningError

MEMBER = "5f2c" * 4


@pytest.fixture(scope="module")
def node(founded: tuple[Path, Founded]) -> Iterator[embed.Embedded]:
    with serve(founded[0]) as running:
        yield running


@pytest.fixture
def root(node: embed.Embedded, founded: tuple[Path, Founded]) -> Iterator[visor.Client[bytes]]:
    with dial(node, founded[0], founded[1].token) as client:
        yield client


@pytest.fixture
def connect(node: embed.Embedded, founded: tuple[Path, Founded]) -> Iterator[Callable[..., SecureWire]]:
    context = ssl.create_default_context(cafile=str(founded[0] / "authority" / "ca.pem"))
    opened: list[SecureWire] = []

    def connected(**more: Any) -> SecureWire:
        opened.append(SecureWire(node.address, context, **{"hello": None, **more}))
        return opened[-1]

    yield connected
    for wire in opened:
        wire.close()


def question(text: str, **other: Any) -> dict[str, Any]:
    token = tokens.read_join(text)
    assert token is not None
    fields = {"id": token.id, "secret": token.secret, "member": MEMBER, "name": "n2", "hosts": ["n2.example"]}
    return {**fields, "request": request_of(new_key()), **other}


def test_by_the_command_from_a_token_to_a_directory(
    node: embed.Embedded, root: visor.Client[bytes], tmp_path: Path
) -> None:
    file, token = tmp_path / "n2.join", root.auth.add_join_token(name="n2", hosts=["127.0.0.1"])
    file.touch(mode=0o600)
    file.write_text(token)
    arguments = (str(file), str(tmp_path / "data"), None, "127.0.0.1:9046", None, (), False)
    lines = list(beginning.join(node.address, *arguments))
    assert lines[0].startswith("n2 (")
    assert not any(token in line for line in lines)
    (listed,) = (one for one in root.auth.join_tokens() if one.name == "n2")
    assert (listed.hosts, listed.by, listed.member) == (("127.0.0.1",), "root", lines[0][4:20])
    with pytest.raises(BeginningError, match="not empty"):
        list(beginning.join(node.address, *arguments))
    with pytest.raises(BeginningError, match="used by member"):
        list(beginning.join(node.address, str(file), str(tmp_path / "other"), *arguments[2:]))
    assert not (tmp_path / "other").exists()


def test_a_token_that_others_can_read_is_not_used(node: embed.Embedded, tmp_path: Path) -> None:
    (tmp_path / "n2.join").write_text("visj_")
    arguments = (str(tmp_path / "n2.join"), str(tmp_path / "data"), None, "127.0.0.1:1", None, (), False)
    with pytest.raises(BeginningError, match="has mode 0644"):
        list(beginning.join(node.address, *arguments))


def test_a_token_says_by_which_authority_the_cluster_is_known(
    root: visor.Client[bytes], founded: tuple[Path, Founded]
) -> None:
    token = tokens.read_join(root.auth.add_join_token(hosts=["n7"], ttl=60))
    assert token is not None
    assert shown_digest(token.authority) == shown_digest(founded[1].digest)
    root.auth.revoke_join_token(token.id)
    assert all(one.id != token.id for one in root.auth.join_tokens())
    with pytest.raises(visor.errors.BadRequest, match="ttl"):
        root.auth.add_join_token(ttl=2 * 86_400)


def test_a_machine_that_joins_is_a_stranger_for_all_else(
    root: visor.Client[bytes], connect: Callable[..., SecureWire]
) -> None:
    text = root.auth.add_join_token(hosts=["n2.example"])
    wire = connect()
    assert wire.call(verbs.JOIN, question(text))["name"] == "n2"
    with pytest.raises(Closed) as closed:
        wire.call(verbs.GET, "/a")
    assert closed.value.goaway is not None
    assert "HELLO" in closed.value.goaway[1]
    greeted = connect(hello={})
    with pytest.raises(Refused, match="unsupported"):
        greeted.call(verbs.JOIN, question(text))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"secret": b"x" * 32}, "denied"),
        ({"secret": b"x"}, "32 bytes"),
        ({"secret": "x" * 32}, "32 bytes"),
        ({"id": 7}, "the id of a token"),
        ({"hosts": ["n"] * 17}, "at most 16"),
        ({"hosts": [7]}, "at most 16"),
        ({"name": "n" * 254}, "its name"),
        ({"request": "x"}, "a request"),
        ({"more": 1}, "a map with"),
    ],
)
def test_what_is_no_question_is_refused_in_words_without_the_secret(
    root: visor.Client[bytes], connect: Callable[..., SecureWire], other: dict[str, Any], words: str
) -> None:
    text = root.auth.add_join_token(hosts=["n2.example"])
    with pytest.raises(Refused) as refused:
        connect().call(verbs.JOIN, question(text, **other))
    assert words in str(refused.value)
    assert "xxxx" not in str(refused.value)
    token = tokens.read_join(text)
    assert token is not None
    root.auth.revoke_join_token(token.id)


def test_what_is_too_much_for_a_stranger_ends_its_connection(connect: Callable[..., SecureWire]) -> None:
    for message in ([verbs.JOIN, 1, ["x"] * 100], [verbs.JOIN, 0, {}], [verbs.JOIN, 1, "x" * 5000]):
        wire = connect()
        wire.send(message)
        assert wire.read()[0] == verbs.GOAWAY


def test_a_client_cannot_say_that_a_token_was_used(root: visor.Client[bytes]) -> None:
    token = tokens.read_join(root.auth.add_join_token(hosts=["n2.example"]))
    assert token is not None
    with pytest.raises(visor.errors.BadRequest, match="clients may ask for"):
        root.auth._change("use_join", {"id": token.id, "member": MEMBER, "key": b"k" * 32}, None, None)


def test_a_registry_without_an_authority_says_so() -> None:
    with embed.start() as running, visor.dial(running.address) as client:
        with pytest.raises(visor.errors.Unsupported, match="no authority of its own"):
            client.auth.add_join_token()
        assert client.auth.join_tokens() == ()
