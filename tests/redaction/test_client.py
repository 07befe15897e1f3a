"""`Client.redact`, from a program: of a file below the client's root, in as many writes as it takes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import visor
from visor import errors
from visord import embed
from visord.state import redact


def test_it_takes_as_many_writes_as_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "MOST", 3)
    node = embed.start(tmp_path / "data")
    try:
        with visor.dial(node.address, root="/app") as client:
            for _ in range(8):
                client.set("/key", b"secret")
            found = client.redact("/key", last=7, why="it leaked")
            assert found == visor.Redaction("/key", 7, 1, 7, 8)
            assert client.get("/key", at=7).data.endswith(b": it leaked")
            assert client.get("/key").data == b"secret"
            assert client.stat("/key", at=7).size == 6
            assert client.redact("/key", last=7) == visor.Redaction("/key", 0, 0, 0, 8)
            assert client.redact("/nothing").versions == 0
            with pytest.raises(errors.BadRequest, match="a rev without values that were redacted"):
                client.revert("/key", 7)
            with pytest.raises(errors.FutureRev):
                client.redact("/key", last=99)

        async def again() -> visor.Redaction:
            async with visor.aio.dial(node.address, root="/app") as other:
                return await other.redact("/key")

        assert asyncio.run(again()) == visor.Redaction("/key", 1, 8, 8, 8)
    finally:
        node.stop()
