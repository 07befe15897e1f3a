"""A peer that asks for more than it reads, or waits for what does not come, costs the node a bounded amount."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node_process import SMALL, NodeProcess
from tests.patience import PATIENCE
from tests.wire import Refused, Wire
from visor.protocol import verbs
from visor.protocol.frames import encode

pytestmark = pytest.mark.soak

MIB = 1 << 20
LATE = 10**12
"""A rev that is never reached."""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node whose memory can be measured; its log must stay empty."""
    with NodeProcess(tmp_path_factory.mktemp("node") / "data", settings=("log.level=warning",)) as node:
        with Wire(node.address) as wire:
            wire.set("/large", b"x" * MIB)
        yield node
        assert node.complaints() == ""


@contextlib.contextmanager
def growth_under(node: NodeProcess, limit: int) -> Iterator[None]:
    """Assert that the node's memory never exceeds what it was by `limit` bytes while the block runs."""
    before, highest, ended = node.rss(), 0, threading.Event()

    def look() -> None:
        nonlocal highest
        while not ended.is_set():
            highest = max(highest, node.rss())
            time.sleep(0.005)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    assert highest - before < limit, f"grew from {before / MIB:.0f} to {highest / MIB:.0f} MiB"


def assert_served(node: NodeProcess, seconds: float = PATIENCE) -> None:
    """Somebody else is served in good time."""
    started = time.monotonic()
    with Wire(node.address) as other:
        rev = other.set("/served", b"1")
        assert other.get("/served") == b"1"
        assert other.rev() >= rev
    assert time.monotonic() - started < seconds


def read_all(wire: Wire, requests: set[int]) -> None:
    while requests:
        message = wire.read()
        assert message[0] == verbs.OK, message[:3]
        requests.remove(message[1])


def test_small_reads_of_a_large_file_are_answered_as_they_are_taken(process: NodeProcess) -> None:
    """All answers to one arrival were packed before the first was sent: 3 KB of requests cost 2 GB."""
    with Wire(process.address) as wire, growth_under(process, 192 * MIB):
        requests = [wire.next_id() for _ in range(500)]
        wire.send(*[[verbs.GET, request, "/large"] for request in requests])
        time.sleep(0.3)
        assert_served(process)
        read_all(wire, set(requests))


def test_pages_of_large_files_are_answered_as_they_are_taken(process: NodeProcess) -> None:
    with Wire(process.address) as wire, growth_under(process, 192 * MIB):
        requests = [wire.next_id() for _ in range(300)]
        scan = [verbs.SEL_TREE, "/large"]
        wire.send(*[[verbs.SCAN, request, scan] for request in requests])
        time.sleep(0.3)
        assert_served(process)
        read_all(wire, set(requests))


def test_transactions_that_read_much_are_answered_as_they_are_taken(process: NodeProcess) -> None:
    """4 MiB of results each, all packed when the command was applied."""
    with Wire(process.address) as wire, growth_under(process, 192 * MIB):
        requests = [wire.next_id() for _ in range(200)]
        get = [verbs.T_GET, "/large"]
        wire.send(*[[verbs.TXN, request, request, [], [get] * 4] for request in requests])
        time.sleep(0.5)
        assert_served(process)
        read_all(wire, set(requests))
        assert wire.call(verbs.PING) is None


def test_a_hundred_thousand_pipelined_requests_are_all_answered(process: NodeProcess) -> None:
    """The client writes and does not read: it is paused, and gets everything when it reads."""
    count = 100_000
    with Wire(process.address) as wire, growth_under(process, 64 * MIB):
        data = b"".join(
            encode([verbs.SET, i, i, "/pipelined", b"v" * 100])
            if i % 10 == 0
            else encode([verbs.GET, i, "/pipelined"])
            for i in range(2, count + 2)
        )
        sender = threading.Thread(target=wire.sock.sendall, args=(data,))
        wire.sock.settimeout(PATIENCE)
        sender.start()
        time.sleep(0.5)
        assert_served(process)
        answered: set[int] = set()
        while len(answered) < count:
            message = wire.read()
            assert message[0] == verbs.OK
            answered.add(message[1])
        sender.join()


def test_writes_count_by_all_their_bytes(process: NodeProcess) -> None:
    """A large write arrives in pieces; only the last was counted, and the queue's limit did not hold."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(process.address)) for _ in range(40)]
        operations = [[verbs.T_SET, f"/many/{name}", b"x" * MIB] for name in range(3)]
        frame = encode([verbs.TXN, 7, 7, [], operations])
        senders = [threading.Thread(target=wire.sock.sendall, args=(frame,)) for wire in wires]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        answers = [wire.read() for wire in wires]
        assert {answer[0] for answer in answers} <= {verbs.OK, verbs.ERROR}
        assert any(answer[0] == verbs.OK for answer in answers)
        for answer in answers:
            if answer[0] == verbs.ERROR:
                assert answer[2] == "overloaded"
        # One command holds a few of them at most: each is an entry of the log.
        assert wires[0].status()["log_entries"] > 4


def test_a_peer_that_never_reads_is_cut_after_a_while(tmp_path: Path) -> None:
    """Its GOAWAY cannot be sent either, and it is not waited for."""
    settings = (*SMALL, "listen.stuck_seconds=0.1")
    with NodeProcess(tmp_path / "data", settings=settings) as node, Wire(node.address) as wire:
        wire.set("/large", b"x" * MIB)
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send_bytes(b"".join(encode([verbs.GET, i, "/large"]) for i in range(20, 50)))
        assert served(wire)
        deadline = time.monotonic() + PATIENCE
        while served(wire):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with Wire(node.address) as other:
            assert other.call(verbs.PING) is None


def served(wire: Wire) -> bool:
    """Tell whether some process still holds the other end of this connection."""
    ends = wire.sock.getpeername()[1], wire.sock.getsockname()[1]  # an old connection may have had our port
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if tuple(int(end.rpartition(":")[2], 16) for end in words[1:3]) == ends:
            return words[9] != "0"  # the inode: the kernel alone goes on sending what it has
    return False


def test_waiting_reads_can_be_cancelled_however_many_there_are(process: NodeProcess) -> None:
    """They counted as in flight: over the limit the server did not read on, not even the CANCEL."""
    with Wire(process.address) as wire:
        limit = wire.welcome["limits"]["in_flight"]
        waiting = [wire.ask(verbs.GET, "/large", LATE) for _ in range(limit)]
        assert wire.call(verbs.PING) is None
        over = wire.ask(verbs.GET, "/large", LATE)
        with pytest.raises(Refused) as refused:
            wire.answer(over)
        assert refused.value.code == "overloaded"
        for request in waiting:
            assert wire.call(verbs.CANCEL, request) is None
            with pytest.raises(Refused) as refused:
                wire.answer(request)
            assert refused.value.code == "cancelled"


def test_cancelled_reads_leave_nothing_behind(process: NodeProcess) -> None:
    with Wire(process.address) as wire:

        def wait_and_cancel(times: int) -> None:
            for _ in range(times):
                pairs = [(wire.next_id(), wire.next_id()) for _ in range(500)]
                wire.send(*[
                    message
                    for read, cancel in pairs
                    for message in ([verbs.GET, read, "/large", LATE], [verbs.CANCEL, cancel, read])
                ])  # fmt: skip
                for _ in pairs:
                    wire.read()
                    wire.read()

        wait_and_cancel(10)
        with growth_under(process, 4 * MIB):
            wait_and_cancel(60)


def test_arrays_that_only_announce_themselves_cost_little(process: NodeProcess) -> None:
    """65 535 elements were allocated at each of a thousand levels: 3 KB of bytes cost 70 MB for good."""
    with contextlib.ExitStack() as stack, growth_under(process, 100 * MIB):
        for _ in range(20):
            wire = stack.enter_context(Wire(process.address))
            wire.send_bytes(b"\xdc\xff\xff" * 1000)
        assert_served(process)
