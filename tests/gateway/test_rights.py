"""The gateway has no rights of its own: each request goes up with the token that came with it, or with none."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import visor
from tests.gateway.conftest import closed_to
from tests.gateway.running import Caller, Running, gateway
from tests.gateway.test_watching import events
from visor._drivers.environment import gather
from visor.auth import Grant
from visor.gateway import credential, process
from visor.testing import Server, server
from visord import embed


@dataclass
class Closed:
    """A closed registry, a gateway before it, and what proves two users."""

    registry: Server
    running: Running
    root: str
    ada: str
    admin: visor.Client[bytes]

    def caller(self, token: str) -> Caller:
        return Caller(self.running.url, authorization=f"Bearer {token}")


@pytest.fixture(scope="module")
def closed() -> Iterator[Closed]:
    with server() as registry, registry.dial() as client:
        root, ada = closed_to(client, [Grant("read", "/mine/**"), Grant("write", "/mine/**")])
        with visor.dial(registry.address, token=root) as admin, gateway(registry.address) as running:
            admin.set("/other", b"secret")
            yield Closed(registry, running, root, ada, admin)


def test_each_caller_may_what_its_own_token_may(closed: Closed) -> None:
    with closed.caller(closed.ada) as ada, closed.caller(closed.root) as root:
        ada.put("/v1/files/mine/a", "1")
        assert next(closed.admin.history("/mine/a")).actor == "ada/http"
        assert ada.problem("GET", "/v1/files/other") == (403, "denied")
        assert ada.problem("PUT", "/v1/files/other", content="x") == (403, "denied")
        assert ada.problem("GET", "/v1/scan?glob=/**") == (403, "denied")
        assert ada.problem("GET", "/v1/watch?glob=/**") == (403, "denied")
        assert root.get("/v1/files/other").text == "secret"


def test_what_may_be_read_of_all_is_followed_where_that_is_asked_for(closed: Closed) -> None:
    with closed.caller(closed.ada) as ada, events(ada, "/v1/watch?glob=/**&granted=1") as stream:
        closed.admin.set("/other", b"secret")
        closed.admin.set("/mine/seen", b"1")
        assert [each["path"] for each in next(stream)["data"]["changes"]] == ["/mine/seen"]
    with Caller(closed.running.url) as nobody:
        assert nobody.problem("GET", "/v1/watch?granted=1")[0] in (401, 403)


def test_who_shows_nothing_is_nobody(closed: Closed) -> None:
    with Caller(closed.running.url) as nobody:
        answer = nobody.get("/v1/files/mine/a")
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("token", ["vis_nothing", "vis_aaaaaaaaaa_" + "a" * 59, "x"])
def test_a_token_that_proves_nothing_is_401_and_not_nobody(closed: Closed, token: str) -> None:
    with closed.caller(token) as caller:
        assert caller.problem("GET", "/v1/files/mine/a") == (401, "bad_token")


def test_basic_takes_a_token_for_a_password(closed: Closed) -> None:
    word = base64.b64encode(f"anything:{closed.ada}".encode()).decode()
    with Caller(closed.running.url, authorization=f"Basic {word}") as caller:
        caller.put("/v1/files/mine/basic", "1")


def test_a_token_that_is_taken_back_ends_its_streams_and_counts_no_more(closed: Closed) -> None:
    token = closed.admin.auth.add_token("ada")
    with closed.caller(token) as caller:
        caller.put("/v1/files/mine/gone", "1")
        with events(caller, "/v1/watch?glob=/mine/**") as stream:
            closed.admin.auth.revoke_token(token.split("_")[1])
            last = list(stream)[-1]
        assert last["name"] == "ended"
        assert last["data"]["code"] == "bad_token"
        assert caller.problem("GET", "/v1/files/mine/gone") == (401, "bad_token")


def test_a_token_is_in_no_problem_and_no_metric(closed: Closed) -> None:
    with closed.caller("vis_secretsecret") as caller:
        told = caller.get("/v1/files/a").text + caller.get("/metrics").text
    assert "secretsecret" not in told


def test_a_key_of_another_user_tells_nothing(closed: Closed) -> None:
    headers = {"idempotency-key": "shared"}
    with closed.caller(closed.ada) as ada, closed.caller(closed.root) as root:
        first = ada.put("/v1/files/mine/key", "1", headers=headers).json()
        second = root.put("/v1/files/mine/key", "1", headers=headers).json()
    assert second["rev"] == first["rev"] + 1


def test_a_registry_that_takes_the_gateway_for_somebody_is_not_served_in_that_name(tmp_path: Path) -> None:
    """By a Unix socket it may know the gateway's user of the system: a caller without a token is not that user."""
    socket = tmp_path / "socket"
    users = {"unix": socket, "unix_users": (f"{os.getuid()}=boss",)}
    with embed.start(settings=users) as node:
        with visor.dial(node.address) as client:
            client.auth.set_user("boss", ["root"])
        with visor.dial(f"unix:{socket}") as client:
            assert client.auth.whoami().user == "boss"
        with gateway(f"unix:{socket}") as running, Caller(running.url) as caller:
            assert caller.problem("PUT", "/v1/files/a", content="1") == (401, "not_signed_in")


def test_a_token_never_goes_on_in_the_clear() -> None:
    settings = gather("10.0.0.9:8046", "/", 1.0, "http", "", None, None, tls=False)
    with pytest.raises(ValueError, match="in the clear"):
        process.dialler(settings)(credential.read("Bearer vis_a", None))
