"""Which failures of a start may pass (75), which stay until somebody mends them (78), and who is told which.

All that keeps a node from starting, each made for real; what cannot be made here is judged by its error alone.
"""

from __future__ import annotations

import errno
import re
import socket
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest

from tests.node_process import ROOT, NodeProcess, command, environment, run
from tests.patience import PATIENCE
from visord import exits
from visord.exits import EXIT_CONFIG, EXIT_DAMAGE, EXIT_FAILED, EXIT_REFUSED, EXIT_USAGE, EXIT_VERSION
from visord.node import RemovedError
from visord.peers.errors import PeersStartError
from visord.raft.configuration import UnknownConfiguration
from visord.state.command import UnknownFormat
from visord.storage import errors
from visord.storage.opening import UnsafeFileError
from visord.system_errors import listening_fault, stays

LOOPBACK = ("--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0")
Words = tuple[str, ...]
Made = Callable[[Path], Words]
"""Makes the mistake in a folder: the words of `visord serve` that meet it."""


def founding(folder: Path, *more: str) -> Words:
    return (*LOOPBACK, "--bootstrap", "--data-dir", str(folder / "data"), *more)


def setting(key: str, value: str) -> Made:
    return lambda folder: founding(folder, "--set", f"{key}={value.format(folder=folder)}")


def flag(*words: str) -> Made:
    return lambda folder: founding(folder, *words)


def a_file_as_directory(folder: Path) -> Words:
    (folder / "data").write_text("dear")
    return founding(folder)


def a_directory_below_a_file(folder: Path) -> Words:
    (folder / "file").write_text("dear")
    return founding(folder, "--data-dir", str(folder / "file" / "data"))


def a_foreign_directory(folder: Path) -> Words:
    (folder / "data").mkdir()
    (folder / "data" / "photo.jpg").write_text("dear")
    return founding(folder)


def a_link_in_the_directory(folder: Path) -> Words:
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "identity").symlink_to("/etc/passwd")
    return founding(folder)


def a_later_layout(folder: Path) -> Words:
    (folder / "data").mkdir(mode=0o700)
    data = b"VISORID\n" + msgpack.packb({"format": 99})
    (folder / "data" / "identity").write_bytes(data + zlib.crc32(data).to_bytes(4, "little"))
    return founding(folder)


def a_damaged_identity(folder: Path) -> Words:
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "identity").write_bytes(b"VISORID\nrubbish")
    return founding(folder)


def a_secret_of_all(folder: Path) -> Words:
    (folder / "secret").write_text("x" * 40)
    (folder / "secret").chmod(0o644)
    return founding(folder, "--set", f"peers.secret_file={folder / 'secret'}")


def something_else_at_the_socket(folder: Path) -> Words:
    (folder / "v.sock").write_text("dear")
    return founding(folder, "--set", f"listen.unix={folder / 'v.sock'}")


def a_file_that_is_no_toml(folder: Path) -> Words:
    (folder / "visord.toml").write_text("listen = [\n")
    return founding(folder, "--config", str(folder / "visord.toml"))


def neither_founding_nor_joining(folder: Path) -> Words:
    return (*LOOPBACK, "--data-dir", str(folder / "data"))


def joining(*members: str) -> Made:
    return lambda folder: (*neither_founding_nor_joining(folder), "--join", ",".join(members))


def joining_itself(folder: Path) -> Words:
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = f"127.0.0.1:{free.getsockname()[1]}"
    return (*joining(own)(folder), "--peer-listen", own)


STAYS: dict[str, tuple[Made, int, str]] = {
    # what was done: (how, exit code, what is said)
    "clients' port open to all": (flag("--listen", "0.0.0.0:0"), EXIT_CONFIG, "listen.insecure"),
    "health open to all": (setting("listen.http", "0.0.0.0:0"), EXIT_CONFIG, "listen.http_insecure"),
    "no such certificate": (
        lambda folder: (
            *setting("listen.tls_cert", "/none/cert")(folder),
            *("--set", "listen.tls_key=/none/key"),
        ),
        EXIT_CONFIG,
        "/none/cert cannot be read",
    ),
    "half of TLS for clients": (
        setting("listen.tls_cert", "/none/cert"),
        EXIT_CONFIG,
        "tls_cert and tls_key belong together",
    ),
    "no address to dial": (flag("--peer-listen", "0.0.0.0:0"), EXIT_CONFIG, "peers.advertise"),
    "peers open to all": (
        lambda folder: (
            *("--listen", "127.0.0.1:0", "--peer-listen", "0.0.0.0:0", "--data-dir", str(folder / "data")),
            *("--join", "127.0.0.1:1", "--set", "peers.advertise=127.0.0.1:2"),
        ),
        EXIT_CONFIG,
        "peers.insecure",
    ),
    "no address": (flag("--listen", "nonsense"), EXIT_CONFIG, "HOST:PORT"),
    "no host": (setting("listen.http", "a..b:80"), EXIT_CONFIG, "listen.http"),
    "neither flag": (neither_founding_nor_joining, EXIT_CONFIG, "--bootstrap founds a cluster there"),
    "joins no address": (joining("somewhere"), EXIT_CONFIG, "--join somewhere: an address is HOST:PORT"),
    "joins a URL": (joining("http://127.0.0.1:8047"), EXIT_CONFIG, "--join http://127.0.0.1:8047"),
    "joins itself": (joining_itself, EXIT_CONFIG, "this node's own address"),
    "both flags": (flag("--join", "127.0.0.1:1"), EXIT_USAGE, "give one of them"),
    "no such flag": (flag("--bootsrap"), EXIT_USAGE, "--bootstrap"),
    "no assignment": (flag("--set", "listen.watches"), EXIT_USAGE, "KEY=VALUE"),
    "no such setting": (setting("node.nmae", "n1"), EXIT_CONFIG, "did you mean node.name?"),
    "a wrong value": (setting("listen.watches", "many"), EXIT_CONFIG, "listen.watches"),
    "no such file": (flag("--config", "/none/visord.toml"), EXIT_CONFIG, "/none/visord.toml"),
    "no TOML": (a_file_that_is_no_toml, EXIT_CONFIG, "not TOML"),
    "half of TLS": (setting("peers.tls_cert", "/etc/cert.pem"), EXIT_CONFIG, "belong together"),
    "no secret file": (setting("peers.secret_file", "{folder}/none"), EXIT_CONFIG, "none"),
    "a secret of all": (a_secret_of_all, EXIT_CONFIG, "chmod"),
    "no directory for the socket": (setting("listen.unix", "{folder}/no/v.sock"), EXIT_CONFIG, "v.sock"),
    "a path too long": (setting("listen.unix", "{folder}/" + "v" * 120), EXIT_CONFIG, "vvv"),
    "something else at the socket": (something_else_at_the_socket, EXIT_CONFIG, "something else"),
    "a file as directory": (a_file_as_directory, EXIT_CONFIG, "data"),
    "a directory below a file": (a_directory_below_a_file, EXIT_CONFIG, "file/data"),
    "a foreign directory": (a_foreign_directory, EXIT_CONFIG, "photo.jpg"),
    "a link": (a_link_in_the_directory, EXIT_CONFIG, "symbolic link"),
    "a later layout": (a_later_layout, EXIT_VERSION, "later version"),
    "a damaged identity": (a_damaged_identity, EXIT_DAMAGE, "damaged"),
}


@pytest.mark.soak
@pytest.mark.parametrize("what", STAYS)
def test_what_is_wrong_and_stays_wrong_is_not_tried_again(tmp_path: Path, what: str) -> None:
    made, code, says = STAYS[what]
    done = run("serve", *made(tmp_path))
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert code in exits.FINAL


def test_too_few_open_files_are_a_setting_of_the_machine(tmp_path: Path) -> None:
    words = command("serve", *founding(tmp_path))
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", *words],
        capture_output=True, text=True, env=environment(), timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == EXIT_CONFIG, done.stderr
    assert "LimitNOFILE" in done.stderr


@pytest.mark.parametrize("key", ["listen.client", "peers.listen", "listen.http"])
def test_a_port_in_use_may_be_free_later(tmp_path: Path, key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ("serve", "--bootstrap", "--data-dir", str(tmp_path / "data"))
        ports = {"listen.client": "127.0.0.1:0", "peers.listen": "127.0.0.1:0", key: address}
        done = run(*words, *(word for one in ports.items() for word in ("--set", "=".join(one))))
    assert done.returncode == EXIT_REFUSED, done.stderr
    assert address in done.stderr and "another server" in done.stderr
    assert EXIT_REFUSED not in exits.FINAL


def test_a_directory_and_a_socket_in_use_may_be_free_later(tmp_path: Path) -> None:
    unix = ("--set", f"listen.unix={tmp_path / 'v.sock'}")
    with NodeProcess(None, arguments=["serve", *founding(tmp_path, *unix)]) as node:
        locked = run("serve", *founding(tmp_path))
        assert locked.returncode == EXIT_REFUSED
        assert str(node.pid) in locked.stderr
        met = run("serve", *founding(tmp_path, "--data-dir", str(tmp_path / "other"), *unix))
        assert met.returncode == EXIT_REFUSED
        assert "another server is running there" in met.stderr


CODES: list[tuple[Exception, int]] = [
    (OSError(errno.ENOSPC, "No space left on device", "/d/log"), EXIT_REFUSED),
    (OSError(errno.EDQUOT, "Disk quota exceeded", "/d/log"), EXIT_REFUSED),
    (OSError(errno.EMFILE, "Too many open files", "/d/log"), EXIT_REFUSED),
    (PermissionError(errno.EACCES, "Permission denied", "/d"), EXIT_CONFIG),
    (OSError(errno.EROFS, "Read-only file system", "/d"), EXIT_CONFIG),
    (OSError(errno.EIO, "Input/output error", "/d/log"), EXIT_FAILED),
    (UnsafeFileError("/d/lock", "is a pipe"), EXIT_CONFIG),
    (RemovedError("n3 was removed"), EXIT_CONFIG),
    (UnknownFormat("an entry of format 9"), EXIT_VERSION),
    (UnknownConfiguration("a configuration of format 9"), EXIT_VERSION),
    (exits.refused(PeersStartError("cannot listen", passes=True)), EXIT_REFUSED),
    (exits.refused(PeersStartError("no secret")), EXIT_CONFIG),
    (exits.refused(ValueError("the cluster does not take n1 in")), EXIT_CONFIG),
]


@pytest.mark.parametrize("error,code", CODES, ids=lambda value: repr(value)[:40])
def test_an_error_has_its_code_and_its_words(error: Exception, code: int) -> None:
    found = exits.ending(error, "/d")
    assert found is not None
    assert found[0] == code
    assert str(error).split("]")[-1].strip() in found[1]


def test_every_error_of_storage_has_a_code_and_a_defect_has_none() -> None:
    kinds = [
        one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.StorageError)
    ]
    made = {errors.DamageError: ("f", 0, "a", "b", "c"), errors.LockedError: ("/d", 1)}
    assert len(kinds) >= 6
    for kind in kinds:
        found = exits.ending(kind(*made.get(kind, ("text",))), "/d")
        assert found is not None, kind
        assert found[0] != EXIT_FAILED or kind is errors.StorageError, kind
    assert exits.ending(ZeroDivisionError("a defect"), "/d") is None


@pytest.mark.parametrize(
    "error,passes",
    [
        (OSError(errno.EADDRINUSE, "Address already in use"), True),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (OSError(errno.EAFNOSUPPORT, "Address family not supported"), False),
        (OSError(errno.ENOBUFS, "No buffer space available"), True),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), False),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), True),
    ],
)
def test_what_keeps_from_listening_may_pass_or_not(error: OSError, passes: bool) -> None:
    assert stays(error) is not passes
    assert listening_fault(error).startswith(str(error.strerror))


def test_the_unit_and_the_readme_say_the_same() -> None:
    unit = (ROOT / "visord" / "deploy" / "visord.service").read_text()
    (codes,) = re.findall(r"^RestartPreventExitStatus=(.*)$", unit, re.M)
    assert tuple(map(int, codes.split())) == exits.FINAL
    readme = (ROOT / "README.md").read_text()
    table = readme.partition("| exit code of `visord serve`")[2].partition("\n\n")[0]
    told = [int(number) for number in re.findall(r"^\| (\d+) \|", table, re.M)]
    assert told == sorted({EXIT_FAILED, EXIT_USAGE, EXIT_DAMAGE, EXIT_REFUSED, EXIT_VERSION, EXIT_CONFIG})
