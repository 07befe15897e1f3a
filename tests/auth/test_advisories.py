"""Advisories of our peers, one row each: what went wrong there, tried here, and refused.

The rows are the table of `visor/docs/security.md`. An attempt gets a closed registry (`tests.auth.test_serving`): boss
may do everything, ci reads and writes below /apps, viewer reads, and whoever proves nothing may do nothing.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import pytest

import visor
from tests.admin.members import Members
from tests.auth.test_serving import ALL, APPS, TOKENS, by, change, closed, knows, refused
from tests.node_process import ROOT
from tests.patience import PATIENCE
from tests.tls.conftest import (
    Authority,
    Files,
    SecureWire,
    authority,
    client_context,
    secure_node,
    server_files,
)
from tests.tls.test_clients import left, trusting
from tests.wire import Closed, Refused, Wire, connect
from visor.cli.app import app as cli
from visor.protocol import tokens, verbs
from visor.protocol.frames import Decoder, encode
from visor.testing import Server, server
from visord import embed
from visord.authority import issuing
from visord.serving import listener
from visord.state.auth.auth_store import AuthStore
from visord.state.refusal import Refusal

__all__ = ["authority", "closed", "server_files"]
PAGE: Final = (ROOT / "visor" / "docs" / "security.md").read_text()


@dataclass
class Stage:
    """What an attempt has."""

    closed: Server
    authority: Authority
    files: Files
    """The certificate of a node, and its key."""
    patched: pytest.MonkeyPatch
    folder: Path

    def by(self, name: str) -> Wire:
        return by(self.closed, name)

    def anonymous(self, **hello: Any) -> Wire:
        """Connect without a proof; with what one says in HELLO."""
        return Wire(self.closed.address, hello=hello)

    @contextlib.contextmanager
    def secure(self) -> Iterator[embed.Embedded]:
        """Run a closed registry within TLS, where boss may do everything, and asks for certificates."""
        settings = {"client_ca": self.authority.certificate, "client_cert": "optional"}
        with secure_node(self.files, **settings) as node:
            with SecureWire(node.address, client_context(self.authority)) as wire:
                change(wire, "set_user", name="boss", roles=["root"])
                change(wire, "set_user", name="anonymous", roles=[])
            yield node

    def shows(self, node: embed.Embedded, files: Files) -> str:
        """Return as whom a certificate lets somebody in."""
        with SecureWire(node.address, client_context(self.authority, files)) as wire:
            user: str = wire.call(verbs.ACCESS, "whoami")[1]["user"]
            return user


class Row(NamedTuple):
    """One row of the page."""

    advisory: str
    was: str
    here: str
    attempt: Callable[[Stage], None]


ROWS: Final[list[Row]] = []


def row(advisory: str, was: str, here: str) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Add an attempt to the table."""

    def add(attempt: Callable[[Stage], None]) -> Callable[[Stage], None]:
        ROWS.append(Row(advisory, was, here, attempt))
        return attempt

    return add


# -- etcd -------------------------------------------------------------------------------------------------


@row(
    "etcd GHSA-xg4h-6gfc-h4m8, CVE-2026-73499",
    "a range without an end was rewritten before it was checked: a right to one key watched all behind it",
    "what is judged is the very selector that is executed; a range without an end needs everything",
)
def open_ranges(stage: Stage) -> None:
    with stage.by("ci") as ci:
        for end in (None, "/b", "/secret"):
            for verb in (verbs.SCAN, verbs.WATCH, verbs.LOG):
                assert refused(ci, verb, [verbs.SEL_RANGE, "/apps/web", end]) == "denied", (verb, end)
        assert refused(ci, verbs.SCAN, [verbs.SEL_RANGE, "/apps/web", ""]) == "bad_path"
        backwards = ci.call(verbs.SCAN, [verbs.SEL_RANGE, "/apps/web", "/"])
        assert backwards[1] == [], "granted, as it means nothing, and read as just that"


@row(
    "etcd GHSA-q8m4-xhhv-38mg, CVE-2026-33413",
    "MemberList, Alarm, leases and Compact were answered without a check, in all versions",
    "every verb has a row in one table, a verb without one is refused, and a test counts them",
)
def unguarded_calls(stage: Stage) -> None:
    with stage.by("ci") as ci, stage.anonymous() as nobody:
        for verb, *fields in (
            (verbs.MEMBERS,),
            (verbs.STATUS,),
            (verbs.LEASES,),
            (verbs.RETAIN, 1),
            (verbs.ADMIN, "hash", []),
            (verbs.AUTH, "set_user", {"name": "ci", "roles": ["root"]}),
        ):
            assert refused(ci, verb, *fields) == "denied", verb
            assert refused(nobody, verb, *fields) == "denied", verb
        for verb in range(verbs.OK):
            if verb not in OPEN:
                assert refused(nobody, verb, "/apps", []) in REFUSALS, verb


REFUSALS: Final = {"denied", "unsupported", "bad_request", "session_lost"}
OPEN: Final = {
    verbs.PING,
    verbs.CANCEL,
    verbs.ACCESS,
    verbs.UNWATCH,
    verbs.CREDIT,
    verbs.PROGRESS,
    verbs.HELLO,
}
"""Verbs that tell nothing of what there is, but who one is itself."""


@row(
    "etcd GHSA-rfx7-8w68-q57q, CVE-2026-33343",
    "operations in a nested transaction were not looked at",
    "guards and both branches are judged by the list that is executed; nothing nests",
)
def nested_transactions(stage: Stage) -> None:
    secret, mine = [verbs.T_SET, "/secret", b"!"], [verbs.T_SET, "/apps/web", b"!"]
    with stage.by("ci") as ci:
        assert refused(ci, verbs.TXN, [], [mine, secret], []) == "denied"
        assert refused(ci, verbs.TXN, [[verbs.G_MISSING, "/apps/web", 0]], [mine], [secret]) == "denied"
        assert refused(ci, verbs.TXN, [], [mine], [[verbs.T_GET, "/secret"]]) == "denied"
        assert refused(ci, verbs.TXN, [[verbs.G_VALUE, "/secret", b"1"]], [mine], []) == "denied"
        assert refused(ci, verbs.TXN, [], [[verbs.TXN, "/apps/web", [], [secret], []]], []) == "bad_request"
        assert (
            refused(ci, verbs.RETRY, [verbs.RETRY, 1, [verbs.SET, 1, 1, "/secret", b"!"]], 0) == "bad_request"
        )
    with stage.by("boss") as boss:
        assert (boss.get("/secret"), boss.get("/apps/web")) == (b"1", b"1")


@row(
    "etcd GHSA-x35m-3gp4-4fh5, CVE-2026-44283",
    "in a transaction, previous values were told and leases attached without a check",
    "a lease of another user is not there, in a transaction either; what was there before takes `history`",
)
def leases_in_transactions(stage: Stage) -> None:
    with stage.by("boss") as boss, stage.by("ci") as ci:
        lease = boss.call(verbs.GRANT, 60_000)[1]
        put = [verbs.T_SET, "/apps/web", b"2", lease]
        assert refused(ci, verbs.TXN, [], [put], []) == "lease_not_found"
        assert refused(ci, verbs.TXN, [], [], [put]) == "lease_not_found"
        assert refused(ci, verbs.LOG, APPS, None, None, 0, {"previous": True}) == "denied"


@row(
    "etcd CVE-2023-32082",
    "looking up a lease told the names of its keys to anybody",
    "a lease is looked at by its user; one of somebody unproven by who may read all that is attached to it",
)
def looking_up_leases(stage: Stage) -> None:
    with stage.by("boss") as boss, stage.by("ci") as ci:
        lease = boss.call(verbs.GRANT, 60_000)[1]
        boss.call(verbs.SET, "/secret", b"1", 0, 0, lease)
        assert refused(ci, verbs.LEASE, lease) == "lease_not_found"
        assert refused(ci, verbs.LEASE, lease + 1) == "lease_not_found", "the same as where there is none"
        assert refused(ci, verbs.KEEPALIVE, [lease]) == "lease_not_found"
        assert refused(ci, verbs.LEASES) == "denied"


@row(
    "etcd GHSA-6vch-q96h-7gc3",
    "a handshake of TLS could take for ever",
    "TLS and HELLO together have 5 seconds, and handshakes under way are bounded by address",
)
def slow_handshakes(stage: Stage) -> None:
    stage.patched.setattr(listener, "HELLO_SECONDS", 0.05)
    stage.patched.setattr(listener, "LINGER_SECONDS", 0.05)
    outgoing = ssl.MemoryBIO()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="x")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with secure_node(stage.files) as node, connect(node.address) as sock:
        sock.sendall(outgoing.read())
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(65536):
                pass


@row(
    "etcd GHSA-3wh4-j44w-pg92",
    "certificates that were taken back were refused on some listeners only",
    "one factory makes all listeners: clients' and HTTP refuse the same certificates",
)
def revoked_certificates(stage: Stage) -> None:
    ours = stage.authority.issue("lost", user="lost")
    serial = ssl._ssl._test_decode_cert(str(ours[0]))["serialNumber"]  # type: ignore[attr-defined]
    taken_back = stage.folder / "revoked"
    taken_back.write_text(f"serial={serial}\n")
    more = {"client_ca": stage.authority.certificate, "client_cert": "required", "revoked": taken_back}
    settings = {f"tls_{name}": value for name, value in more.items()}
    settings |= {"tls_cert": stage.files[0], "tls_key": stage.files[1], "http": "127.0.0.1:0"}
    context = client_context(stage.authority, ours)
    with embed.start(settings=settings) as node:
        with pytest.raises(Closed) as ended:
            SecureWire(node.address, context)
        assert ended.value.goaway is not None and ended.value.goaway[0] == "denied"
        assert node._server is not None
        assert b"200" not in asked(node._server.http_address, "/metrics", context)


def asked(address: str, page: str, context: ssl.SSLContext | None = None) -> bytes:
    """Return all that HTTP answers."""
    sock = connect(address)
    if context is not None:
        sock = context.wrap_socket(sock, server_hostname="127.0.0.1")
    answer = b""
    with sock, contextlib.suppress(OSError):
        sock.sendall(f"GET {page} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while data := sock.recv(65536):
            answer += data
    return answer


@row(
    "etcd CVE-2018-16886",
    "the gateway's own certificate, by its common name, was taken for the user root",
    "a user is a whole name `visor:user/NAME`; a common name is nobody, and a member's certificate no user's",
)
def names_in_certificates(stage: Stage) -> None:
    issue = stage.authority.issue
    with stage.secure() as node:
        assert stage.shows(node, issue("good", user="boss")) == "boss"
        for number, uris in enumerate(
            (
                [],
                ["visor://7f3a/member/boss"],
                ["visor:user/boss", "visor://7f3a/member/boss"],
                ["visor:user/boss/x"],
                ["visor:user/Boss"],
                ["VISOR:user/boss"],
                ["visor:user/%62oss"],
            )
        ):
            files = issue("boss" if not number else f"no{number}", uris=uris)
            assert stage.shows(node, files) == "anonymous", uris


@row(
    "etcd issue 7789",
    "watches were not judged at all",
    "a watch needs `read` on all that it can tell, and ends before the next commit once that is taken away",
)
def watches(stage: Stage) -> None:
    with stage.by("ci") as ci, stage.by("boss") as boss, stage.anonymous() as nobody:
        for selector in (ALL, [verbs.SEL_PATH, "/secret"], [verbs.SEL_GLOB, "/**"]):
            assert refused(ci, verbs.WATCH, selector) == "denied"
            assert refused(nobody, verbs.WATCH, selector) == "denied"
        watch = ci.ask(verbs.WATCH, APPS)
        ci.answer(watch)
        change(boss, "set_user", name="ci", roles=[])
        boss.set("/apps/web", b"after")
        assert ci.push()[:3] == [verbs.ENDED, watch, "denied"]


# -- ZooKeeper ------------------------------------------------------------------------------------------------


@row(
    "ZooKeeper GHSA-2hmj-97jw-28jh, CVE-2025-58457",
    "snapshot and restore took fewer rights than all that is in one",
    "all of a registry is read by `read` on everything, a past rev by `history` besides; none is put back over it",
)
def snapshots(stage: Stage) -> None:
    with stage.by("ci") as ci, stage.by("viewer") as viewer:
        assert refused(ci, verbs.SCAN, ALL) == "denied"
        assert refused(viewer, verbs.LOG, ALL) == "denied"
        assert refused(viewer, verbs.DIFF, ALL, 1, 2) == "denied"
        assert refused(viewer, verbs.REVERT, "/", 1) == "denied"


@row(
    "ZooKeeper CVE-2024-23944",
    "a persistent watch told the paths of what is below a node to who could not read them",
    "a watch without values needs what one with values does; a right to a path says nothing of what is below it",
)
def paths_below(stage: Stage) -> None:
    with stage.by("boss") as boss, stage.by("ci") as ci:
        change(boss, "set_role", name="deployer", grants=[["read", [verbs.SEL_PATH, "/apps"]]])
        for mode in (0, verbs.W_KEYS, verbs.W_STATE):
            assert refused(ci, verbs.WATCH, APPS, None, mode) == "denied"
        assert refused(ci, verbs.SCAN, APPS, None, 0, None, 0, {"count": True}) == "denied"
        assert refused(ci, verbs.LIST, "/apps") == "denied"
        assert refused(ci, verbs.STAT, "/apps") == "denied"
        assert refused(ci, verbs.TXN, [], [[verbs.T_LIST, "/apps"]], []) == "denied"


@row(
    "ZooKeeper CVE-2019-0201",
    "getACL told the hashes of passwords",
    "no question tells a digest, not even to an administrator",
)
def hashes(stage: Stage) -> None:
    with stage.by("boss") as boss:
        for question in ("whoami", "roles", "users", "tokens"):
            told = encode(boss.call(verbs.ACCESS, question))
            for text in TOKENS.values():
                token = tokens.read(text)
                assert token is not None
                assert tokens.digest(token.secret) not in told
                assert token.secret not in told


@row(
    "ZooKeeper CVE-2026-24281",
    "a name that reverse DNS gave was taken for who somebody is",
    "nothing looks a name up: certificates are compared with what was dialled",
)
def reverse_names(stage: Stage) -> None:
    def looked_up(*arguments: object) -> None:
        raise AssertionError(f"somebody looked up {arguments}")

    for name in ("gethostbyaddr", "getnameinfo", "getfqdn"):
        stage.patched.setattr(socket, name, looked_up)
    with secure_node(stage.files) as node:
        tls = visor.TLS(str(stage.authority.certificate))
        with visor.dial(node.address, tls=tls, timeout=PATIENCE) as client:
            client.set("/a", b"1")
    with secure_node(stage.authority.issue("elsewhere", hosts=("localhost",))) as node:
        assert not served(node.address, stage.authority, "127.0.0.1")


def served(address: str, trusted: Authority, name: str) -> bool:
    """Tell whether a client that trusts an authority goes on with what answers at an address."""
    with contextlib.suppress(ssl.SSLCertVerificationError):
        SecureWire(address, client_context(trusted), name=name).close()
        return True
    return False


# -- NATS -----------------------------------------------------------------------------------------------------


@row(
    "NATS GHSA-fhg8-qxh5-7q3w, CVE-2025-30215",
    "four of the administrative calls were open to all, across accounts",
    "one verb has all of them, and takes `admin` on everything whatever it is asked for",
)
def administration(stage: Stage) -> None:
    with stage.by("ci") as ci, stage.by("viewer") as viewer:
        for action in ("add", "remove", "promote", "transfer", "update", "hash", "", None, 5):
            assert refused(ci, verbs.ADMIN, action, []) == "denied", action
            assert refused(viewer, verbs.ADMIN, action, []) == "denied", action


@row(
    "NATS CVE-2026-58253",
    "where nobody had to prove anything by default, clients were served on the port of the members",
    "clients and members have ports and readers of their own; at the members' port nothing is said before a proof",
)
def ports_of_members(stage: Stage) -> None:
    with Members(stage.folder / "members") as members:
        members.start("n1")
        peer = members.node("n1").me.peer
        for first in ([verbs.HELLO, 1, {"versions": [1]}], [verbs.GET, 1, "/a"], [1], [10, "n1", 1, 1]):
            with connect(peer) as sock:
                sock.sendall(encode(first))
                sock.shutdown(socket.SHUT_WR)
                answer = b""
                with contextlib.suppress(ConnectionResetError):
                    while data := sock.recv(65536):
                        answer += data
                said = Decoder(1 << 20).feed(answer)
                assert all(message[0] != verbs.OK and b"n1" not in encode(message) for message in said), first
        with Wire(members.address("n1")) as wire:
            assert refused(wire, verbs.EXPIRE_LEASE, 1, 1) in ("unsupported", "bad_request")


@row(
    "NATS GHSA-fr2g-9hjm-wr23",
    "adding one account opened the rest to all",
    "a registry is closed until it says open: users, roles and tokens add rights to those whom they name",
)
def adding_accounts(stage: Stage) -> None:
    with stage.by("boss") as boss, stage.anonymous() as nobody, stage.by("ci") as ci:
        change(boss, "set_role", name="new", grants=[["read", ALL], ["write", ALL], ["admin", ALL]])
        change(boss, "set_user", name="new", roles=["new"])
        change(boss, "set_user", name="viewer", roles=[])
        assert refused(nobody, verbs.GET, "/secret") == "denied"
        assert refused(ci, verbs.GET, "/secret") == "denied"
        with stage.by("viewer") as viewer:
            assert refused(viewer, verbs.GET, "/apps/web") == "denied"


@row(
    "NATS GO-2026-4828",
    "names of certificates were compared in parts and whatever their order",
    "the one name that counts is compared whole, letter by letter; two of them are nobody",
)
def parts_of_names(stage: Stage) -> None:
    issue = stage.authority.issue
    with stage.secure() as node:
        for number, uris in enumerate(
            (
                ["visor:user/boss", "visor:user/ci"],
                ["visor:user/ci", "visor:user/boss"],
                ["visor:user/xboss"],
                ["visor:user/boss "],
                ["visor:user/"],
                ["x-visor:user/boss"],
            )
        ):
            assert stage.shows(node, issue(f"part{number}", uris=uris)) == "anonymous", uris


@row(
    "NATS GO-2026-4827",
    "passwords that were given as arguments were shown by the monitoring",
    "no option takes a secret, only files do; figures, status and logs have none",
)
def secrets_in_arguments(stage: Stage) -> None:
    names = {option for command in commands() for each in command.params for option in each.opts}
    assert "--token-file" in names
    assert not {name for name in names if re.fullmatch(r"--(token|password|secret)", name)}
    with embed.start(settings={"http": "127.0.0.1:0"}) as node, Wire(node.address) as wire:
        knows(wire, "boss", "root")
        with Wire(node.address, hello={"token": TOKENS["boss"]}) as boss:
            assert node._server is not None
            told = encode(boss.status()) + asked(node._server.http_address, "/metrics")
    assert TOKENS["boss"].encode() not in told and TOKENS["boss"][-12:].encode() not in told


def commands() -> Iterator[click.Command]:
    """Yield all commands of the command line."""
    assert isinstance(cli, click.Group)
    context = click.Context(cli)
    todo = [cli.get_command(context, name) for name in cli.list_commands(context)]
    while todo:
        command = todo.pop()
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            todo += command.commands.values()


@row(
    "NATS GO-2024-2980",
    "rules that deny were not enforced in some cases",
    "there are none: grants add up, and a role takes nothing away",
)
def rules_that_deny(stage: Stage) -> None:
    table = AuthStore()
    for right in ("-read", "!read", "deny", "no read", ""):
        assert isinstance(table.change("set_role", {"name": "x", "grants": [[right, ALL]]}, 0), Refusal)
    with stage.by("boss") as boss, stage.by("ci") as ci:
        change(boss, "set_role", name="nothing", grants=[])
        change(boss, "set_user", name="ci", roles=["nothing", "deployer"])
        assert ci.get("/apps/web") == b"1"


@row(
    "NATS GHSA-8r68-gvr4-jh7j",
    "before anybody had proven anything, memory was taken without bound",
    "the first message has 4 KiB and 64 elements, and what is longer ends the connection",
)
def memory_before_proof(stage: Stage) -> None:
    for first in (
        b"\x93\x00\x01\xdd\x00\xff\xff\xff" + b"\x90" * 5000,
        b"\xdc\xff\xff" * 400,
        b"\xc6\x7f\xff\xff\xff",
    ):
        with connect(stage.closed.address) as sock:
            sock.sendall(first)
            with contextlib.suppress(ConnectionResetError):
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
    with stage.by("ci") as ci:
        assert ci.get("/apps/web") == b"1"


# -- Nacos ----------------------------------------------------------------------------------------------------


@row(
    "Nacos GHSA-36hp-jr8h-556f, CVE-2021-29441",
    "who called itself `Nacos-Server` in a header was not asked for anything",
    "nothing that a client says of itself counts, but a token",
)
def magic_words(stage: Stage) -> None:
    for hello in (
        {"client": "visord", "actor": "visord"},
        {"actor": "boss"},
        {"user": "boss", "principal": "user:boss/", "owner": "", "roles": ["root"]},
        {"actor": "", "client": "", "node": "n1", "internal": True},
    ):
        with stage.anonymous(**hello) as wire:
            assert wire.call(verbs.ACCESS, "whoami")[1]["user"] == "anonymous"
            assert refused(wire, verbs.GET, "/secret") == "denied"
            assert refused(wire, verbs.SET, "/secret", b"!") == "denied"


@row(
    "Nacos issue 10060",
    "all installations signed with the same key, which was written in the manual",
    "no secret comes with the software: each token is made from randomness, and known to one registry",
)
def default_secrets(stage: Stage) -> None:
    for text in ("vis_", "root", tokens.write(bytes(6), bytes(32)), tokens.write(b"boss  ", bytes(32))):
        with pytest.raises((Refused, Closed)):
            stage.anonymous(token=text)
    with server() as other, other.dial() as client:
        client.auth.set_user("boss", ["root"])
        made = [client.auth.add_token("boss") for _ in range(2)]
    assert len(set(made)) == 2
    for text in made:
        with pytest.raises((Refused, Closed)):
            stage.anonymous(token=text)


# -- Consul ---------------------------------------------------------------------------------------------------


@row(
    "Consul GHSA-8xmx-h8rq-h94j, CVE-2020-25864",
    "a value that was asked for raw was run by browsers as a page",
    "HTTP tells health and figures, no value, no path, and is no page",
)
def values_as_pages(stage: Stage) -> None:
    with embed.start(settings={"http": "127.0.0.1:0"}) as node:
        script = "<script>alert(1)</script>"
        with Wire(node.address, hello={"actor": script, "client": script}) as wire:
            wire.set("/v1/kv/page", script.encode())
            assert node._server is not None
            for page in (
                "/",
                "/v1/kv/page",
                "/v1/kv/page?raw",
                "/metrics",
                "/livez",
                f"/{script}",
                "/../metrics",
            ):
                answer = asked(node._server.http_address, page)
                assert b"<script" not in answer, page
                assert b"text/html" not in answer.lower(), page


@row(
    "Consul GHSA-chgm-7r52-whjj, CVE-2024-10005, CVE-2025-11392",
    "a path was checked in one spelling and used in another",
    "a path has one spelling, and others are no paths; nothing is decoded, folded or normalised",
)
def spellings(stage: Stage) -> None:
    with stage.by("ci") as ci, stage.by("boss") as boss:
        for path in MISSPELT:
            for verb, *fields in (
                (verbs.GET, path),
                (verbs.SET, path, b"!"),
                (verbs.SCAN, [verbs.SEL_TREE, path]),
            ):
                assert refused(ci, verb, *fields) in ("bad_path", "bad_request"), (verb, path)
        for path in ("/APPS/web", "/\uff41pps/web", "/%61pps/web"):
            assert refused(ci, verbs.GET, path) == "denied", path
        ci.set("/apps/%2e%2e/secret", b"!")
        assert boss.get("/secret") == b"1"


@row(
    "Consul CVE-2026-105765",
    "the call that signs certificates of services signed what it should not have",
    "of a request only the key is taken; the names come from who decides, and no user's is ever made",
)
def names_in_requests(stage: Stage) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    now, key = datetime.datetime.now(datetime.UTC), issuing.new_key()
    wanted = x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier("visor:user/boss"), x509.DNSName("*")]
    )
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]))
        .add_extension(wanted, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    made = issuing.Authority.found("7f3a", issuing.new_key(), now, 1)
    names = issuing.MemberNames("5f2c", ("10.0.0.2",))
    certificate = issuing.read_certificate(made.issue(issuing.read_request(request), names, now, 2))
    assert issuing.names_of(certificate) == ("7f3a", names)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert b"boss" not in certificate.public_bytes(serialization.Encoding.DER)


@row(
    "Consul CVE-2019-12291",
    "a recursive delete went beyond the prefix that was granted",
    "a subtree is deleted by who may write all of it, by components: /apps/web is not /apps/web2",
)
def recursive_deletes(stage: Stage) -> None:
    with stage.by("boss") as boss, stage.by("ci") as ci:
        boss.set("/apps/web2", b"1")
        change(boss, "set_role", name="deployer", grants=[["write", [verbs.SEL_TREE, "/apps/web"]]])
        for path in ("/", "/apps", "/apps/web2"):
            assert refused(ci, verbs.DELETE, path, True) == "denied"
            assert refused(ci, verbs.TXN, [], [[verbs.T_DELETE, path, True]], []) == "denied"
        change(boss, "set_role", name="deployer", grants=[["write", [verbs.SEL_PATH, "/apps"]]])
        assert refused(ci, verbs.DELETE, "/apps", True) == "denied"
        assert boss.get("/apps/web") == boss.get("/apps/web2") == b"1"


@row(
    "Consul CVE-2020-7955",
    "an endpoint had no check at all",
    "whoever proves nothing gets no figure of the state: every verb is tried by nobody",
)
def unchecked_verbs(stage: Stage) -> None:
    with stage.anonymous() as nobody:
        for verb, *fields in (
            (verbs.REV,),
            (verbs.AT, 1),
            (verbs.NOP,),
            (verbs.GRANT, 1000),
            (verbs.REVOKE, 1),
            (verbs.LEASE, 1),
            (verbs.KEEPALIVE, [1]),
            (verbs.GET, "/apps/web"),
            (verbs.STAT, "/apps/web"),
            (verbs.ACCESS, "users", {}),
            (verbs.ACCESS, "can", {"right": "read", "selector": ALL, "user": "boss"}),
        ):
            assert refused(nobody, verb, *fields) == "denied", verb


@row(
    "Consul CVE-2018-19653",
    "`verify_outgoing` did not verify",
    "a client within TLS goes on with no node whose certificate its authority has not made",
)
def unverified_nodes(stage: Stage) -> None:
    stranger = Authority(stage.folder, "stranger")
    with secure_node(stranger.issue("node", hosts=("127.0.0.1",))) as node:
        assert served(node.address, stranger, "127.0.0.1")
        left(
            dialled,
            node.address,
            "was not made by an authority that is trusted",
            tls=trusting(stage.authority),
        )


def dialled(address: str, **more: Any) -> int:
    """Dial for a moment."""
    with visor.dial(address, token="", **more) as client:
        return client.rev()


@row(
    "Consul CVE-2019-9764",
    "names of servers were not verified although that was set",
    "the name that was dialled has to be in the certificate, also of addresses that a node has told of",
)
def unverified_names(stage: Stage) -> None:
    with secure_node(stage.authority.issue("other", hosts=("other.example",))) as node:
        assert served(node.address, stage.authority, "other.example")
        assert not served(node.address, stage.authority, "127.0.0.1")
        assert not served(node.address, stage.authority, "other")


MISSPELT: Final = (
    "/apps/../secret",
    "/apps/./web",
    "//secret",
    "/apps//web",
    "/apps/web/",
    "apps/web",
    "/apps/web\0",
    "/apps/\u200bweb",
)
"""What other software takes for /secret or /apps/web."""


# -- others ---------------------------------------------------------------------------------------------------


@row(
    "granian issue 508 (slow loris)",
    "requests that were begun and never finished held all places",
    "a message that has begun has a deadline, and so has the first one; places are bounded by address",
)
def slow_messages(stage: Stage) -> None:
    stage.patched.setattr(listener, "HELLO_SECONDS", 0.05)
    stage.patched.setattr(listener, "LINGER_SECONDS", 0.05)
    with embed.start() as node, connect(node.address) as sock:
        sock.sendall(encode([verbs.HELLO, 1, {"versions": [1]}])[:-3])
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(65536):
                pass


@pytest.mark.parametrize("case", ROWS, ids=[case.advisory for case in ROWS])
def test_what_was_possible_there_is_refused_here(
    case: Row,
    closed: Server,
    authority: Authority,
    server_files: Files,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    case.attempt(Stage(closed, authority, server_files, monkeypatch, tmp_path))


def test_the_page_has_these_rows_and_no_others() -> None:
    _, _, section = PAGE.partition("\n## Faults of others")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    told = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert told[1:] == [[case.advisory, case.was, case.here] for case in ROWS]
