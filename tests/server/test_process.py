"""The server as an operator meets it: its ready line, signals, exit codes, sockets and data directory."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.cluster import ports
from tests.node_process import SMALL, NodeProcess, NotReady, run
from tests.patience import PATIENCE, eventually
from tests.wire import Closed, Refused, Wire, new_session
from visor.protocol import verbs

pytestmark = pytest.mark.soak

EXIT_DAMAGE, EXIT_REFUSED, EXIT_CONFIG = 9, 75, 78


def refused_start(*arguments: str) -> tuple[int, str, str]:
    """Run a `visord` that must end by itself: (exit code, stdout, stderr)."""
    result = run(*arguments)
    return result.returncode, result.stdout, result.stderr


SERVE = ("serve", "--bootstrap", "--peer-listen", "127.0.0.1:0")


def serve_arguments(data: Path, *more: str) -> list[str]:
    words = [*SERVE, "--listen", "127.0.0.1:0", "--data-dir", str(data), "--set", "log.level=warning"]
    return [*words, *more]


# -- starting ------------------------------------------------------------------------------------------


def test_one_exact_line_when_clients_are_accepted_and_nothing_else(tmp_path: Path) -> None:
    with NodeProcess(None, arguments=["dev", "--listen", "127.0.0.1:0"]) as node:
        assert re.fullmatch(r"visord ready on 127\.0\.0\.1:[1-9]\d*\n", node.ready_line)
        with Wire(node.address) as wire:
            assert wire.set("/a", b"1") == 1
        assert node.stop() == 0
        assert node.complaints() == ""
        with pytest.raises(NotReady):  # nothing more on stdout until its end
            node.line(1)


def test_two_nodes_on_port_0_do_not_meet(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "a") as one, NodeProcess(tmp_path / "b") as two:
        assert one.address != two.address
        with Wire(one.address) as first, Wire(two.address) as second:
            first.set("/a", b"1")
            assert second.get("/a") is None
            assert first.welcome["cluster"] != second.welcome["cluster"]


def test_a_port_in_use_is_refused_with_75(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = refused_start(*SERVE, "--listen", address, "--data-dir", str(tmp_path / "d"))
    assert code == EXIT_REFUSED
    assert out == ""
    assert address in err
    assert "Traceback" not in err
    assert not (tmp_path / "d").exists()


def test_a_data_directory_in_use_is_refused_with_75_path_and_pid(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "data") as node:
        code, out, err = refused_start(*serve_arguments(tmp_path / "data"))
        assert code == EXIT_REFUSED
        assert out == ""
        assert str(tmp_path / "data") in err
        assert str(node.pid) in err
        assert "Traceback" not in err
        with Wire(node.address) as wire:
            assert wire.set("/a", b"1") == 1


def test_an_address_beyond_loopback_needs_insecure(tmp_path: Path) -> None:
    arguments = (*SERVE, "--listen", "0.0.0.0:0", "--data-dir", str(tmp_path / "d"))
    code, out, err = refused_start(*arguments)
    assert code == EXIT_CONFIG
    assert out == ""
    assert "insecure" in err
    with NodeProcess(None, arguments=[*arguments, "--set", "listen.insecure=true"]) as node:
        port = node.address.rpartition(":")[2]
        with Wire(f"127.0.0.1:{port}") as wire:
            assert wire.set("/a", b"1") == 1


def test_a_directory_that_is_no_data_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"dear")
    code, _, err = refused_start(*serve_arguments(tmp_path))
    assert code == EXIT_CONFIG
    assert "photo.jpg" in err
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) in (["photo.jpg"], ["lock", "photo.jpg"])


def test_another_nodes_directory_is_refused(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "data") as node:
        node.stop()
    code, _, err = refused_start(*serve_arguments(tmp_path / "data", "--set", "node.name=other"))
    assert code == EXIT_CONFIG
    assert "'n1'" in err
    assert "'other'" in err


def test_damaged_data_is_refused_with_9_naming_the_file(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with NodeProcess(data) as node:
        with Wire(node.address) as wire:
            wire.set("/a", b"1")
        node.stop()
    manifest = bytearray((data / "manifest").read_bytes())
    manifest[20] ^= 1
    (data / "manifest").write_bytes(manifest)
    code, out, err = refused_start(*serve_arguments(data))
    assert code == EXIT_DAMAGE
    assert out == ""
    assert str(data / "manifest") in err
    assert "Traceback" not in err


def test_a_log_that_vanished_is_damage_where_a_checkpoint_tells_of_it(tmp_path: Path) -> None:
    """The node began a new log behind the checkpoint, and what only the old one held was silently gone."""
    data = tmp_path / "data"
    with NodeProcess(data) as node, Wire(node.address) as wire:
        wire.set("/a", b"1")
        node.signal(signal.SIGUSR1)
        while not wire.status()["checkpoint"]["index"]:
            time.sleep(0.02)
        wire.set("/a", b"2")
        node.kill()
    for path in (data / "log").iterdir():
        path.unlink()
    code, _, err = refused_start(*serve_arguments(data))
    assert code == EXIT_DAMAGE
    assert str(data / "log") in err


def test_a_wrong_setting_is_refused_with_78(tmp_path: Path) -> None:
    code, out, err = refused_start(*serve_arguments(tmp_path / "d", "--set", "listen.in_flght=5"))
    assert code == EXIT_CONFIG
    assert out == ""
    assert "listen.in_flght" in err


# -- ending --------------------------------------------------------------------------------------------


class Writer(threading.Thread):
    """Pipelines sets of `/<name>/<n>` = n until the server ends the connection; records what is answered."""

    def __init__(self, address: str, name: str) -> None:
        super().__init__()
        self.name_ = name
        self.wire = Wire(address, session=new_session())
        self.acknowledged: dict[int, int] = {}
        """n -> rev."""
        self.refused: list[str] = []
        self.sent = 0
        self.unanswered = 0
        self.goaway: tuple[str, str] | None = None

    def run(self) -> None:
        ids: dict[int, int] = {}
        try:
            while True:
                while len(ids) < 32:
                    self.sent += 1
                    path = f"/{self.name_}/{self.sent}"
                    ids[self.wire.ask(verbs.SET, path, b"%d" % self.sent)] = self.sent
                message = self.wire.read(PATIENCE)
                if message[0] == verbs.GOAWAY:
                    continue
                number = ids.pop(message[1])
                if message[0] == verbs.OK:
                    self.acknowledged[number] = message[2]
                else:
                    self.refused.append(message[2])
        except (Closed, OSError):
            self.goaway = self.wire.goaway
            self.unanswered = len(ids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    # At addresses that it gets again: that they had changed would be an entry more.
    arguments = ["serve", "--bootstrap", "--listen", ports.address(), "--peer-listen", ports.address()]
    arguments += ["--data-dir", str(tmp_path / "data"), *(word for one in SMALL for word in ("--set", one))]
    with NodeProcess(None, arguments=arguments) as node:
        writers = [Writer(node.address, f"w{name}") for name in range(4)]
        for writer in writers:
            writer.start()
        eventually(lambda: all(len(writer.acknowledged) > 10 for writer in writers))
        node.signal(number)
        assert node.wait() == 0
        for writer in writers:
            writer.join(PATIENCE)
            assert not writer.is_alive()
            assert writer.goaway is not None
            assert writer.goaway[0] == "closing"
            assert set(writer.refused) <= {"closing"}
        assert node.complaints() == ""
        with pytest.raises(OSError):
            Wire(node.address)
        highest = max(max(writer.acknowledged.values()) for writer in writers)
        node.start()
        with Wire(node.address) as wire:
            status = wire.status()
            # The checkpoint at the end holds everything: no entry but the new term's is behind it.
            assert status["checkpoint"]["index"] >= status["applied"] - 1
            assert wire.rev() >= highest
            for writer in writers:
                for written, rev in writer.acknowledged.items():
                    version = wire.call(verbs.GET, f"/{writer.name_}/{written}")[1]
                    assert version[:2] == [rev, b"%d" % written]
                # What was sent and never acknowledged may be there or not; nothing else may.
                rows = wire.call(verbs.LIST, f"/{writer.name_}")[1]
                assert {int(row[0]) for row in rows} <= set(range(1, writer.sent + 1))


def test_every_accepted_write_is_answered_before_goaway(tmp_path: Path) -> None:
    """Pipelines of many, cut by SIGTERM: every request that was read gets OK or `closing`."""
    with NodeProcess(tmp_path / "data") as node, Wire(node.address) as wire:
        sent = [wire.ask(verbs.SET, f"/a/{n}", b"x" * 1000) for n in range(300)]
        answered = {sent[0]: wire.answer(sent[0])}
        node.signal(signal.SIGTERM)
        waiting = set(sent) - set(answered)
        try:
            while True:
                message = wire.read(PATIENCE)
                if message[0] == verbs.GOAWAY:
                    break
                waiting.discard(message[1])
                assert message[0] == verbs.OK or message[2] == "closing"
        except Closed:
            pytest.fail("closed without GOAWAY")
        assert not waiting
        assert node.wait() == 0


def test_waiting_reads_and_watches_do_not_keep_it_from_ending(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "data") as node, Wire(node.address) as wire:
        wire.call(verbs.WATCH, [verbs.SEL_TREE, "/"])
        waiting = wire.ask(verbs.GET, "/a", 1000)
        wire.call(verbs.PING)
        started = time.monotonic()
        node.signal(signal.SIGTERM)
        with pytest.raises(Refused) as refused:
            wire.answer(waiting)
        assert refused.value.code == "closing"
        goaway = wire.end()
        assert goaway is not None
        assert goaway[0] == "closing"
        assert node.wait() == 0
        assert time.monotonic() - started < PATIENCE


def test_a_peer_that_does_not_read_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "data") as node, Wire(node.address) as wire:
        wire.set("/large", b"x" * (1 << 20))
        wire.send(*[[verbs.GET, 100 + n, "/large"] for n in range(200)])
        with Wire(node.address) as other:
            for _ in range(50):  # by then it has answered as much as it can be rid of
                other.call(verbs.PING)
        started = time.monotonic()
        assert node.stop() == 0
        assert time.monotonic() - started < PATIENCE


def test_a_development_node_takes_its_temporary_data_with_it(tmp_path: Path) -> None:
    with NodeProcess(None, arguments=["dev", "--listen", "127.0.0.1:0"]) as node:
        files = [str(path.readlink()) for path in Path(f"/proc/{node.pid}/fd").iterdir()]
        folders = {path.split("/log/")[0] for path in files if "/log/" in path}
        assert len(folders) == 1
        (folder,) = map(Path, folders)
        assert folder.is_dir()
        with Wire(node.address) as wire:
            wire.set("/a", b"1")
        assert node.stop() == 0
        assert not folder.exists()


def test_a_development_node_keeps_data_in_a_directory_of_its_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    arguments = ["dev", "--listen", "127.0.0.1:0", "--data-dir", str(data)]
    with NodeProcess(None, arguments=arguments) as node:
        with Wire(node.address) as wire:
            wire.set("/a", b"1")
        node.kill()
        node.start()
        with Wire(node.address) as wire:
            assert wire.get("/a") == b"1"
            assert wire.rev() == 1


# -- Unix sockets --------------------------------------------------------------------------------------


def test_a_unix_socket_besides_tcp(tmp_path: Path) -> None:
    path = tmp_path / "v.sock"
    with NodeProcess(tmp_path / "data", settings=(*SMALL, f"listen.unix={path}")) as node:
        assert path.stat().st_mode & 0o777 == 0o660
        with Wire(str(path)) as local, Wire(node.address) as remote:
            assert local.set("/a", b"1") == 1
            assert remote.get("/a") == b"1"
        assert node.stop() == 0
        assert not path.exists()


def test_a_socket_left_by_a_killed_server_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "v.sock"
    with NodeProcess(tmp_path / "data", settings=(*SMALL, f"listen.unix={path}")) as node:
        node.kill()
        assert path.is_socket()
        node.start()
        with Wire(str(path)) as wire:
            assert wire.set("/a", b"1") == 1


def test_a_living_servers_socket_is_not_stolen(tmp_path: Path) -> None:
    """It was removed and bound anew, and the first server's clients could not find it any more."""
    path = tmp_path / "v.sock"
    setting = f"listen.unix={path}"
    with NodeProcess(tmp_path / "a", settings=(*SMALL, setting)):
        code, out, err = refused_start(*serve_arguments(tmp_path / "b", "--set", setting))
        assert (code, out) == (EXIT_REFUSED, "")
        assert str(path) in err
        with Wire(str(path)) as wire:
            assert wire.set("/a", b"1") == 1


@pytest.mark.parametrize("what", ["a file", "a missing directory"])
def test_a_socket_path_that_is_something_else_is_refused(tmp_path: Path, what: str) -> None:
    """A file of that name was deleted."""
    path = tmp_path / "v.sock" if what == "a file" else tmp_path / "none" / "v.sock"
    if what == "a file":
        path.write_text("dear")
    code, out, err = refused_start(*serve_arguments(tmp_path / "d", "--set", f"listen.unix={path}"))
    assert (code, out) == (EXIT_CONFIG, "")
    assert str(path) in err
    assert "Traceback" not in err
    if what == "a file":
        assert path.read_text() == "dear"
