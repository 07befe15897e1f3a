"""Both clients within TLS: what works, what is refused and how that is said, and that nothing leaves in clear."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

import visor
import visor.aio
import visor.testing
from tests.cli.cli_harness import ROOT
from tests.patience import GROWING, PATIENCE
from tests.tls.conftest import Files, secure_node
from visor import errors, op
from visor._core.address import Address
from visor._core.client import ClientProtocol
from visor._core.token import may_be_told
from visor._drivers.environment import gather
from visor.following import Mirror
from visor.testing.authority import Authority
from visord import embed


def dial_blocking(addr: str, **more: Any) -> int:
    with visor.dial(addr, **more) as client:
        return client.set("/a", b"1")


def dial_asyncio(addr: str, **more: Any) -> int:
    async def main() -> int:
        async with visor.aio.dial(addr, **more) as client:
            return await client.set("/a", b"1")

    return asyncio.run(main())


def dial_uvloop(addr: str, **more: Any) -> int:
    async def main() -> int:
        async with visor.aio.dial(addr, **more) as client:
            return await client.set("/a", b"1")

    return uvloop.run(main())


Dialled = Callable[..., int]
both = pytest.mark.parametrize(
    "dialled", [dial_blocking, dial_asyncio, dial_uvloop], ids=["blocking", "asyncio", "uvloop"]
)


def left(dialled: Dialled, address: str, says: str, **more: Any) -> None:
    """No connection comes about, and the error says why: soon, where the machine does not stand still."""
    for seconds in GROWING[1:]:
        with pytest.raises(errors.DeadlineExceeded) as raised:
            dialled(address, timeout=seconds, **more)
        if says in str(raised.value):
            return
    raise AssertionError(f"{says!r} is not said in {raised.value}")


def trusting(authority: Authority, files: Files | None = None, **more: str) -> visor.TLS:
    cert, key = (None, None) if files is None else (str(files[0]), str(files[1]))
    return visor.TLS(str(authority.certificate), cert, key, **more)


# -- what works -----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_client_is_served(node: embed.Embedded, authority: Authority, dialled: Dialled, host: str) -> None:
    address = node.address.replace("127.0.0.1", host)
    assert dialled(address, timeout=PATIENCE, tls=trusting(authority)) > 0


@both
def test_the_environment_says_it_all(
    node: embed.Embedded, authority: Authority, dialled: Dialled, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = authority.issue("from-environment", user="ci")
    monkeypatch.setenv("VISOR_ADDR", node.address)
    monkeypatch.setenv("VISOR_CACERT", str(authority.certificate))
    monkeypatch.setenv("VISOR_CERT", str(cert))
    monkeypatch.setenv("VISOR_KEY", str(key))
    assert dialled(None, timeout=PATIENCE) > 0
    with pytest.raises(errors.Unsupported, match="TLS is spoken at this port"):
        dialled(None, timeout=PATIENCE, tls=False)


@both
def test_another_name_may_be_expected(authority: Authority, dialled: Dialled) -> None:
    with secure_node(authority.issue("named", hosts=("registry.example",))) as running:
        tls = trusting(authority, server_name="registry.example")
        assert dialled(running.address, timeout=PATIENCE, tls=tls) > 0


def test_large_values_many_threads_and_a_watch_go_through_a_blocking_client(
    node: embed.Embedded, authority: Authority
) -> None:
    values = [os.urandom(900_000) for _ in range(8)]
    with visor.dial(node.address, timeout=PATIENCE, tls=trusting(authority)) as client:
        client.set("/many/x", b"")
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for round_ in range(4):
                    client.set(f"/many/{number}", values[number])
                    for _ in range(25):
                        client.set(f"/few/{number}", str(round_).encode())
                        assert client.get(f"/few/{number}").value == str(round_).encode()
                    assert client.get(f"/many/{number}").value == values[number]
            except BaseException as error:
                failures.append(error)

        with client.watch("/few/**") as watch:
            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            seen = 0
            for commit in watch:
                seen += len(commit.changes)
                if seen == 800:
                    break
            for thread in threads:
                thread.join()
        assert failures == []


def test_mirrors_lists_and_large_commits_go_through_in_pieces_of_any_size(
    node: embed.Embedded, authority: Authority
) -> None:
    """What leaves in pieces, short and long ones by turns, is put into records and comes out as it was."""
    sizes = [1, 100, 8_000, 9_000, 16_383, 16_384, 16_385, 40_000, 3, 300_000, 7]
    values = {f"/pieces/{number:02}": os.urandom(size) for number, size in enumerate(sizes * 5)}
    with visor.dial(node.address, timeout=PATIENCE, tls=trusting(authority)) as client:
        with Mirror(client, "/pieces/**") as mirror:
            rev = client.txn(then=[op.set(path, value) for path, value in values.items()]).rev
            mirror.wait_for(rev, timeout=PATIENCE)
            assert {path: mirror[path].data for path in mirror} == values
        for changed in ("/pieces/00", "/pieces/54"):
            values[changed] = os.urandom(200)
            client.set(changed, values[changed])
            with Mirror(client, "/pieces/**") as again:
                assert {path: again[path].data for path in again} == values
            assert {file.path: file.data for file in client.scan("/pieces/**")} == values


def test_large_values_and_many_tasks_go_through_an_asyncio_client(
    node: embed.Embedded, authority: Authority
) -> None:
    async def main() -> None:
        async with visor.aio.dial(node.address, timeout=PATIENCE, tls=trusting(authority)) as client:
            values = [os.urandom(900_000) for _ in range(8)]
            await asyncio.gather(*(client.set(f"/tasks/{n}", value) for n, value in enumerate(values)))
            files = await asyncio.gather(*(client.get(f"/tasks/{n}") for n in range(8)))
            assert [file.value for file in files] == values

    asyncio.run(main())


def test_a_renewed_certificate_of_the_client_is_used_for_the_next_connection(
    authority: Authority, server_files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (authority.issue(name, user=name) for name in ("before", "after"))
    cert, key = tmp_path / "me.pem", tmp_path / "me.key"
    key.touch(mode=0o600)

    def put(files: Files) -> None:
        cert.write_bytes(files[0].read_bytes())
        key.write_bytes(files[1].read_bytes())

    put(first)
    with secure_node(server_files, client_ca=authority.certificate, client_cert="required") as running:
        server = running._server
        assert server is not None

        def users() -> set[str | None]:
            assert server is not None and server._door is not None
            return {one.certificate.user for one in server._door if one.certificate is not None}

        tls = trusting(authority, (cert, key))
        with visor.dial(running.address, timeout=PATIENCE, tls=tls) as one:
            cert.write_bytes(second[0].read_bytes())  # its key is not there yet
            with visor.dial(running.address, timeout=PATIENCE, tls=tls):
                assert users() == {"before"}
            assert "does not belong to the certificate" in caplog.text
            put(second)
            with visor.dial(running.address, timeout=PATIENCE, tls=tls):
                assert users() == {"before", "after"}
            one.set("/a", b"1")


# -- what is wrong ----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("made", "says"),
    [
        (
            {},
            "the node's certificate was not made by an authority that is trusted here (VISOR_CACERT",
        ),
        (
            {"begins": -20.0, "ends": -10.0},
            "the node's certificate has expired, unless this machine's clock (",
        ),
        (
            {"begins": 10.0, "ends": 20.0},
            "the node's certificate is not valid yet: the clock of this machine (",
        ),
        ({"hosts": ("10.9.9.9",)}, "made out to another address than the one that was dialled"),
    ],
    ids=["authority", "expired", "not yet", "name"],
)
def test_a_node_that_cannot_prove_who_it_is_is_left_with_the_reason(
    authority: Authority, tmp_path: Path, dialled: Dialled, made: dict[str, Any], says: str
) -> None:
    maker = authority if made else Authority(tmp_path, "stranger")
    files = maker.issue("bad", **{"hosts": ("127.0.0.1",), **made})
    with secure_node(files) as running:
        left(dialled, running.address, says, tls=trusting(authority))


@both
def test_a_name_that_is_not_in_the_certificate_is_told_as_that(
    authority: Authority, dialled: Dialled
) -> None:
    """Common names count for nothing, and neither does the name that the other side would have liked."""
    says = "made out to another name than the one that was dialled: Hostname mismatch"
    with secure_node(authority.issue("localhost", hosts=("other.example",))) as running:
        address = running.address.replace("127.0.0.1", "localhost")
        left(dialled, address, says, tls=trusting(authority))
        left(dialled, running.address, says, tls=trusting(authority, server_name="third.example"))


@both
def test_the_authorities_of_the_system_are_those_that_are_trusted_if_none_is_named(
    node: embed.Embedded, dialled: Dialled
) -> None:
    left(dialled, node.address, "was not made by an authority that is trusted here", tls=True)


@both
def test_a_node_that_asks_for_a_certificate_says_so_to_whoever_has_none(
    authority: Authority, server_files: Files, dialled: Dialled
) -> None:
    with secure_node(server_files, client_ca=authority.certificate, client_cert="required") as running:
        says = "the node wants to see a certificate, and none is set"
        left(dialled, running.address, says, tls=trusting(authority))
        assert dialled(
            running.address, timeout=PATIENCE, tls=trusting(authority, authority.issue("c", user="c"))
        )


@both
def test_a_certificate_that_the_node_does_not_like_is_told(
    authority: Authority, server_files: Files, dialled: Dialled, tmp_path: Path
) -> None:
    expired = authority.issue("late", user="ci", begins=-20, ends=-10)
    foreign = Authority(tmp_path, "foreign").issue("ci", user="ci")
    with secure_node(server_files, client_ca=authority.certificate, client_cert="optional") as running:
        for files, says in (
            (expired, "the node says that the certificate shown here has expired"),
            (foreign, "the node does not trust the authority of the certificate that is shown here"),
        ):
            left(dialled, running.address, says, tls=trusting(authority, files))


@both
def test_a_port_in_clear_is_told_apart_and_hears_no_token(dialled: Dialled, authority: Authority) -> None:
    with visor.testing.server() as server:
        says = "the node does not speak TLS there"
        left(dialled, server.address, says, tls=trusting(authority), token="secret")


@both
def test_a_client_in_clear_hears_at_once_that_tls_is_spoken(node: embed.Embedded, dialled: Dialled) -> None:
    with pytest.raises(errors.Unsupported, match="TLS is spoken at this port, and these bytes are in clear"):
        dialled(node.address, timeout=PATIENCE)


def other_key(authority: Authority, folder: Path) -> visor.TLS:
    cert, _ = authority.issue("one", user="one")
    _, key = authority.issue("two", user="two")
    return trusting(authority, (cert, key))


def open_key(authority: Authority, folder: Path) -> visor.TLS:
    cert, key = authority.issue("open", user="open")
    key.chmod(0o644)
    return trusting(authority, (cert, key))


def no_authority(authority: Authority, folder: Path) -> visor.TLS:
    (folder / "ca.pem").write_text("nothing")
    return visor.TLS(str(folder / "ca.pem"))


@both
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (other_key, "the key .*two.key does not belong to the certificate .*one.pem"),
        (open_key, "has mode 0644, so others may use it; make it 0600: chmod 600"),
        (no_authority, "the authority .*ca.pem: there are no certificates"),
        (
            lambda authority, folder: visor.TLS(str(folder / "none")),
            "the authority .*none cannot be read: No such",
        ),
        (
            lambda authority, folder: visor.TLS(None, str(folder / "none")),
            "the certificate .*none cannot be read: No such",
        ),
        (lambda authority, folder: visor.TLS(str(folder)), "is not a plain file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_before_anything_is_sent(
    authority: Authority, tmp_path: Path, dialled: Dialled, make: Callable[..., visor.TLS], says: str
) -> None:
    with pytest.raises((ValueError, OSError), match=says):
        dialled("127.0.0.1:1", timeout=PATIENCE, tls=make(authority, tmp_path))


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="a key is of no use without its certificate"):
        visor.TLS(key="k")
    for name in ("", ".example", "a b", "a..b", "x" * 64, "a\n"):
        with pytest.raises(ValueError, match="server_name must be the name of a host"):
            visor.TLS(server_name=name)
    with pytest.raises(TypeError, match=r"tls must be visor.TLS"):
        visor.dial("h", tls="yes")  # type: ignore[call-overload]


# -- tokens -----------------------------------------------------------------------------------------------


def test_a_token_goes_only_where_it_is_known_who_hears_it() -> None:
    private, system = visor.TLS("ca.pem"), visor.TLS()
    far, here, unix = Address("n1.example", 8046), Address("localhost", 8046), Address("", 0, "/run/v")
    told = {
        (str(address), guess, tls): may_be_told(address, guess=guess, tls=tls)
        for address in (far, here, unix)
        for guess in (False, True)
        for tls in (None, private, system)
    }
    assert {key for key, value in told.items() if value} == {
        *((str(far), False, tls) for tls in (private, system)),
        *((str(here), False, tls) for tls in (None, private, system)),
        *((str(unix), False, tls) for tls in (None, private, system)),
        *((str(one), True, private) for one in (far, here)),
    }
    assert not may_be_told(None, guess=False, tls=private)
    assert not may_be_told(Address("127.0.0.1.example", 1), guess=False, tls=None)


def test_a_learned_address_must_verify_too_by_its_own_name(authority: Authority, tmp_path: Path) -> None:
    """A node tells of an address; who answers there shows a certificate of another host."""
    both_hosts = authority.issue("first", hosts=("127.0.0.1",))
    with (
        secure_node(authority.issue("elsewhere", hosts=("10.9.9.9",))) as other,
        secure_node(both_hosts) as first,
    ):
        settings = gather(
            first.address, None, PATIENCE, None, "secret", None, None, {}, tls=trusting(authority)
        )
        session = ClientProtocol(settings)
        learned = Address("127.0.0.1", int(other.address.rpartition(":")[2]))
        assert b"secret" in session.hello(0.0, learned, guess=True)  # once it has verified
        left(dial_blocking, str(learned), "another address", tls=trusting(authority))


# -- the command ------------------------------------------------------------------------------------------


def test_the_command_speaks_tls_as_its_environment_and_its_contexts_say(
    node: embed.Embedded, authority: Authority, tmp_path: Path
) -> None:
    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("VISOR_")}
        return subprocess.run(
            [sys.executable, "-m", "visor", *words],
            env={
                **plain,
                "XDG_CONFIG_HOME": str(tmp_path),
                "PYTHONPATH": str(ROOT),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    ca = str(authority.certificate)
    assert run("set", "/cli", "1", "--addr", node.address, VISOR_CACERT=ca).returncode == 0
    assert run("context", "add", "secure", "--addr", node.address, "--cacert", ca).returncode == 0
    assert run("get", "/cli").stdout.strip() == "1"
    refused = run("get", "/cli", "--addr", node.address)
    assert refused.returncode != 0 and "TLS is spoken at this port" in refused.stderr
    refused = run("get", "/cli", "--addr", node.address, "--timeout", "5s", VISOR_CACERT="system")
    assert refused.returncode != 0 and "not made by an authority that is trusted here" in refused.stderr


# -- registries for tests ---------------------------------------------------------------------------------


def test_a_registry_for_tests_speaks_tls_and_knows_users(tmp_path: Path) -> None:
    with visor.testing.server(tmp_path / "data", tls=True) as server:
        with server.dial() as client:
            client.set("/a", b"1")
        with visor.dial(server.address, timeout=PATIENCE, tls=server.tls_of("ci"), token="") as client:
            assert client.get("/a").value == b"1"

        async def awaited() -> bytes:
            async with server.dial_async() as client:
                value: bytes = (await client.get("/a")).value
                return value

        assert asyncio.run(awaited()) == b"1"
        server.restart()
        with server.dial() as client:
            assert client.get("/a").value == b"1"
    with visor.testing.server() as plain, pytest.raises(ValueError, match="speaks no TLS"):
        plain.tls_of("ci")
