"""A browser's session: a cookie that is nobody's without the page's key, of this origin alone, as long as its token."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

import visor
from tests.gateway.conftest import closed_to
from tests.gateway.running import Caller, Running, gateway
from tests.patience import eventually
from visor.auth import Grant
from visor.gateway import openapi, seal, signing_in
from visor.gateway.routes import ROUTES
from visor.testing import Server, server

OWN = {"sec-fetch-site": "same-origin"}


@dataclass
class Closed:
    """A closed registry, a gateway before it, and a user who may do some of all."""

    registry: Server
    running: Running
    ada: str
    admin: visor.Client[bytes]

    def sign_in(self, token: str | None = None) -> Session:
        with Caller(self.running.url) as caller:
            answer = caller.post("/v1/session", json={"token": token or self.ada}, headers=OWN)
            assert answer.status_code == 200, answer.text
            return Session(answer.headers["set-cookie"], answer.json(), self.running.url)


@dataclass
class Session:
    """What a browser has of it."""

    header: str
    told: dict[str, Any]
    url: str

    @property
    def cookie(self) -> str:
        return self.header.partition(";")[0]

    def caller(self, **headers: str) -> Caller:
        """Call as the console's page does; `headers` change that."""
        said = {"cookie": self.cookie, "visor-session": self.told["key"], **OWN, **headers}
        return Caller(self.url, **{name: value for name, value in said.items() if value})


@pytest.fixture(scope="module")
def closed() -> Iterator[Closed]:
    with server() as registry, registry.dial() as client:
        root, ada = closed_to(client, [Grant("read", "/mine/**"), Grant("write", "/mine/a")], ttl=3600.0)
        with visor.dial(registry.address, token=root) as admin, gateway(registry.address) as running:
            admin.set("/mine/a", b"1")
            yield Closed(registry, running, ada, admin)


def test_who_signs_in_is_known_and_the_cookie_is_locked(closed: Closed) -> None:
    signed = closed.sign_in()
    (morsel,) = SimpleCookie(signed.header).values()
    assert morsel.key == f"__Host-visor-{closed.running.place[1]}"
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"], morsel["path"]) == (
        True,
        True,
        "Strict",
        "/",
    )
    assert morsel["domain"] == ""
    assert 3500 < int(morsel["max-age"]) <= 3600, "as long as the token"
    assert (signed.told["user"], signed.told["by"]) == ("ada", "session")
    for part in closed.ada.split("_")[1:]:
        assert part not in signed.header + signed.told["key"], "no half shows the token"
    with signed.caller() as caller:
        assert caller.get("/v1/session").json()["user"] == "ada"
        assert caller.get("/v1/files/mine/a").text == "1"
        caller.put("/v1/files/mine/a", "2")
    assert next(closed.admin.history("/mine/a", reverse=True)).actor == "ada/http"


@pytest.mark.parametrize("token", ["", "vis_nothing", "x" * 5000, "é", 7, None])
def test_what_proves_nothing_makes_no_session(closed: Closed, token: Any) -> None:
    with Caller(closed.running.url) as caller:
        answer = caller.post("/v1/session", json={"token": token})
    assert answer.status_code in (400, 401)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in answer.headers
    assert str(token or "nothing to see") not in answer.text


def test_neither_half_is_anybody(closed: Closed) -> None:
    signed, other = closed.sign_in(), closed.sign_in()
    with signed.caller(**{"visor-session": ""}) as caller:
        assert caller.problem("GET", "/v1/files/mine/a") == (401, "not_signed_in")
    with signed.caller(cookie="") as caller:
        assert caller.problem("GET", "/v1/files/mine/a") == (401, "not_signed_in")
    with signed.caller(cookie=other.cookie) as caller:
        assert caller.problem("GET", "/v1/files/mine/a") == (401, "bad_token")
    with signed.caller(cookie=f"{signed.cookie}; {other.cookie}") as caller:
        assert caller.problem("GET", "/v1/files/mine/a") == (401, "not_signed_in")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},  # another port, or another name below the same domain
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "", "origin": "https://evil.example"},
        {"sec-fetch-site": "", "origin": "null"},
        {"sec-fetch-site": ""},  # nothing says where it comes from
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_no_other_site_changes_anything_by_a_session(closed: Closed, headers: dict[str, str]) -> None:
    signed = closed.sign_in()
    before = closed.admin.get("/mine/a")
    with signed.caller(**headers) as caller:
        assert caller.problem("PUT", "/v1/files/mine/a", content="x") == (403, "cross_origin")
        form = {"content-type": "text/plain"}
        assert caller.problem("POST", "/v1/revert", content="{}", headers=form)[0] == 403
    assert closed.admin.get("/mine/a") == before


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_no_other_site_reads_or_signs_by_a_session(closed: Closed, site: str) -> None:
    signed = closed.sign_in()
    with signed.caller(**{"sec-fetch-site": site}) as caller:
        assert caller.problem("GET", "/v1/files/mine/a") == (403, "cross_origin")
        assert caller.problem("DELETE", "/v1/session") == (403, "cross_origin")
        assert caller.problem("POST", "/v1/session", json={"token": closed.ada}) == (403, "cross_origin")
        followed = caller.get("/v1/files/mine/a", headers={"sec-fetch-mode": "navigate"})
        assert followed.status_code == 401, "a link from elsewhere is followed as nobody"


def test_an_older_browser_says_its_origin(closed: Closed) -> None:
    signed = closed.sign_in()
    with signed.caller(**{"sec-fetch-site": "", "origin": closed.running.url}) as caller:
        caller.put("/v1/files/mine/a", "3")


def test_a_header_goes_before_a_session(closed: Closed) -> None:
    signed = closed.sign_in()
    boss = closed.admin.auth.add_token("boss")
    with signed.caller(authorization=f"Bearer {boss}") as caller:
        told = caller.get("/v1/session").json()
        assert (told["user"], told["by"]) == ("boss", "header")
    with signed.caller(authorization="Bearer vis_nothing") as caller:
        assert caller.problem("GET", "/v1/session") == (401, "bad_token")


def test_a_token_that_is_taken_back_ends_all_its_sessions(closed: Closed) -> None:
    token = closed.admin.auth.add_token("ada")
    one, other = closed.sign_in(token), closed.sign_in(token)
    closed.admin.auth.revoke_token(token.split("_")[1])
    for signed in (one, other):
        with signed.caller() as caller:
            answer = caller.get("/v1/files/mine/a")
            assert (answer.status_code, answer.json()["code"]) == (401, "bad_token")
            assert "Max-Age=0" in answer.headers["set-cookie"], "the browser forgets it"


def test_a_session_ends_with_its_token(closed: Closed) -> None:
    signed = closed.sign_in(closed.admin.auth.add_token("ada", ttl=2.0))
    assert signed.told["seconds"] <= 2
    with signed.caller() as caller:
        eventually(lambda: caller.get("/v1/files/mine/a").status_code == 401, "the end of the token")
        assert caller.problem("GET", "/v1/session") == (401, "bad_token")


def test_signing_out_needs_no_registry_and_no_token_that_is_good(closed: Closed) -> None:
    with gateway("127.0.0.1:1") as away, Caller(away.url, **OWN) as caller:
        answer = caller.delete("/v1/session", headers={"cookie": "x=y", "visor-session": "z"})
    assert answer.status_code == 204
    (morsel,) = SimpleCookie(answer.headers["set-cookie"]).values()
    assert (morsel.value, morsel["max-age"], morsel["secure"]) == ("", "0", True)


def test_what_one_may_is_told_for_files_and_trees(closed: Closed) -> None:
    with closed.sign_in().caller() as caller:
        told = caller.get("/v1/can?glob=/mine/a").json()
        assert told["may"] == {"read": True, "history": False, "write": True, "admin": False}
        assert "history" in told["missing"]["history"]
        assert caller.get("/v1/can?glob=/mine/**").json()["may"]["write"] is False
        assert caller.problem("GET", "/v1/can?glob=//")[0] in (400, 422)
        assert caller.problem("GET", "/v1/can") == (400, "usage")


def test_a_registry_that_is_open_offers_everything_to_nobody(http: Caller) -> None:
    told = http.get("/v1/session").json()
    assert (told["user"], told["by"]) == ("anonymous", "nothing")
    assert all(http.get("/v1/can?glob=/**").json()["may"].values())


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [
        (None, signing_in.MOST_SECONDS),
        (NOON + timedelta(days=90), signing_in.MOST_SECONDS),
        (NOON + timedelta(minutes=5), 300),
        (NOON - timedelta(minutes=5), 0),
    ],
)
def test_a_cookie_lasts_no_longer_than_its_token_or_a_day_of_work(
    expires: datetime | None, seconds: int
) -> None:
    assert signing_in.seconds_left(expires, NOON) == seconds


@given(some.text(alphabet="vis_abcXYZ0189", min_size=1, max_size=300), some.binary(min_size=32, max_size=32))
def test_two_halves_make_the_token_and_no_others_do(token: str, key: bytes) -> None:
    cookie, said = seal.seal(token, key)
    assert seal.unseal(cookie, said) == token
    changed = ("A" if cookie[0] != "A" else "B") + cookie[1:]
    assert seal.unseal(changed, said) is None
    another = bytes(each ^ 1 for each in key)
    assert seal.unseal(cookie, seal.seal(token, another)[1]) is None


@given(some.text(max_size=100), some.text(max_size=100))
def test_whatever_comes_is_no_token(cookie: str, key: str) -> None:
    assert seal.unseal(cookie, key) is None


SCHEMES = openapi.describe(ROUTES)["components"]["securitySchemes"]


@pytest.mark.parametrize("proof", [each for each in openapi.PROOFS if each], ids="+".join)
def test_each_way_to_prove_somebody_is_what_the_description_says(
    proof: dict[str, list[str]], closed: Closed
) -> None:
    """A program that knows the description alone: what it sends, and where, comes from there."""
    signed = closed.sign_in()
    name, _, cookie = signed.cookie.partition("=")
    assert name == f"{SCHEMES['session_cookie']['name']}-{closed.running.place[1]}"
    secrets = {
        "bearer": f"Bearer {closed.ada}",
        "basic": "Basic " + base64.b64encode(f"any:{closed.ada}".encode()).decode(),
        "session_cookie": f"{name}={cookie}",
        "session_key": signed.told["key"],
    }
    headers = {}
    for scheme in proof:
        told = SCHEMES[scheme]
        place = {"header": told.get("name"), "cookie": "Cookie"}
        headers[place[told["in"]] if told["type"] == "apiKey" else "Authorization"] = secrets[scheme]
    with Caller(closed.running.url) as caller:
        assert caller.get("/v1/whoami", headers=headers).json()["user"] == "ada"
        for missing in headers:
            less = {name: value for name, value in headers.items() if name != missing}
            assert caller.get("/v1/whoami", headers=less).json()["user"] == "anonymous"
