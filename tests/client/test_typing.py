"""What a type checker learns from the client: values are of the codec's type, and nothing public is Any."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = """
import visor
import visor.aio
from visor import codecs

class Upper:
    def encode(self, value: str, /) -> bytes: return value.encode()
    def decode(self, data: bytes, /) -> str: return data.decode()

client = visor.dial()
reveal_type(client)                                          # Client[bytes]
reveal_type(client.get("/a").value)                          # bytes
reveal_type(client.get("/a", codec=codecs.INT).value)        # int
reveal_type(client.get_value("/a", None))                    # bytes | None
reveal_type(visor.dial(codec=codecs.TEXT).get("/a").value)   # str
reveal_type(visor.dial(codec=Upper()).get("/a").value)       # str
reveal_type(client.snapshot().get("/a"))                     # File[bytes]
reveal_type(next(client.scan("/**")).value)                  # bytes
reveal_type(client.watch(codec=codecs.LIST).next().changes[0].value)    # list[str] | None
reveal_type(client.set("/a", b""))                           # int
reveal_type(client.set("/a", 1, codec=codecs.INT))           # int
reveal_type(client.update(lambda tx: tx.get("/a").value))  # bytes
client.set("/a", "text")                                     # error
visor.dial(codec=codecs.INT).set("/a", b"")                  # error

async def main() -> None:
    async with visor.aio.dial(codec=codecs.JSON) as client:
        reveal_type((await client.get("/a")).value)          # Json
        reveal_type(await client.rev())                      # int
"""


def test_types_follow_the_codec(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    file = tmp_path / "sample.py"
    file.write_text(SAMPLE)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--hide-error-context", str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    said: dict[int, str] = {}
    for number, what in re.findall(r"sample\.py:(\d+): (.*)", done.stdout):
        said.setdefault(int(number), what)
    for number, line in enumerate(SAMPLE.splitlines(), 1):
        code, _, expected = line.partition("#")
        if expected.strip() == "error":
            assert said.get(number, "").startswith("error"), f"{code.strip()}: not refused: {done}"
        elif expected:
            found = said.get(number, "nothing").replace("builtins.", "").replace("visor.blocking.client.", "")
            found = found.replace("visor.blocking.snapshot.", "").replace('"', "")
            if expected.strip() != "Json":
                assert found.removeprefix("note: Revealed type is ") == expected.strip(), (code.strip(), done)
            assert "Any" not in found
