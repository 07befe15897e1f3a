"""`storage.state_bytes`: what grows is refused beyond it, what makes room goes on, and it heals by itself."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.node_process import NodeProcess
from tests.patience import PATIENCE
from tests.wire import Refused, Wire
from visor.protocol import verbs as v

LIMIT = 4 << 20
VALUE = b"x" * 100_000


def fill(wire: Wire) -> tuple[int, Refused]:
    """Overwrite one file until that is refused; return how often it went well, and the refusal."""
    for count in range(200):
        try:
            wire.set("/one", b"%d" % count + VALUE)
        except Refused as refused:
            return count, refused
    pytest.fail("20 MB found room below 4 MiB")


def test_one_file_that_is_overwritten_is_refused_at_the_limit_and_room_lets_it_go_on(tmp_path: Path) -> None:
    settings = (f"storage.state_bytes={LIMIT}", "log.level=error")
    with NodeProcess(tmp_path / "data", settings=settings) as node, Wire(node.address) as wire:
        wire.set("/other", b"y")
        count, refused = fill(wire)
        assert 35 < count < 45
        assert refused.code == "no_space"
        assert refused.details["what"] == "storage.state_bytes"
        assert refused.details["limit"] == LIMIT <= refused.details["actual"]
        assert "storage.state_bytes" in refused.text
        assert "RETAIN" in refused.text
        assert any(alarm.startswith("state bytes: ") for alarm in wire.status()["alarms"])
        for growing in ((v.GRANT, 5000), (v.TXN, [], [[0, "/t", b""]], []), (v.REVERT, "/one", 2)):
            with pytest.raises(Refused) as other:
                wire.call(growing[0], *growing[1:])
            assert other.value.code == "no_space"
        assert wire.get("/one") is not None
        wire.call(v.NOP)
        wire.call(v.TXN, [], [[1, "/other"]], [])
        wire.call(v.RETAIN, 1)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                wire.set("/one", b"again")
                break
            except Refused as still:
                assert still.code == "no_space"
                assert time.monotonic() < deadline, wire.status()
                time.sleep(0.05)
        assert wire.status()["alarms"] == []


def test_what_became_of_a_write_is_told_without_room_and_by_that_nothing_grows(tmp_path: Path) -> None:
    settings = (f"storage.state_bytes={LIMIT}", "log.level=error")
    session = b"a session of its"
    with NodeProcess(tmp_path / "data", settings=settings) as node:
        with Wire(node.address, session=session) as wire:
            rev = wire.call(v.SET, "/done", b"once")
        with Wire(node.address) as other:
            fill(other)
        write = [v.SET, 2, 2, "/done", b"once"]  # HELLO was 1
        new = [v.SET, 3, 2, "/new", b""]
        with Wire(node.address, session=session) as wire:
            assert wire.call(v.RETRY, write, 0) == rev
            with pytest.raises(Refused) as refused:
                wire.call(v.RETRY, new, rev)
            assert refused.value.code == "no_space"
            assert wire.get("/new") is None
