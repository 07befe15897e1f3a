"""What a type checker learns from the client: values are of the codec's type, and nothing public is Any unasked."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SAMPLE = """
from typing import TypedDict
import visor
import visor.aio
from visor import codecs, guard, op
from visor.following import Following, Source
from visor.store import Record, Store, by, on

class Upper:
    def encode(self, value: str, /) -> bytes: return value.encode()
    def decode(self, data: bytes, /) -> str: return data.decode()

class Settings(TypedDict):
    port: int

client = visor.dial()
text = visor.dial(codec=codecs.TEXT)
reveal_type(client)                                          # Client[bytes]
reveal_type(client.get("/a").value)                          # bytes
reveal_type(client.get("/a", codec=codecs.INT).value)        # int
reveal_type(client.get_value("/a", None))                    # bytes | None
reveal_type(text.get("/a").value)                            # str
reveal_type(visor.dial(codec=Upper()).get("/a").value)       # str
reveal_type(client.snapshot().get("/a"))                     # File[bytes]
reveal_type(next(client.scan("/**")).value)                  # bytes
reveal_type(client.watch(codec=codecs.LIST).next().changes[0].value)    # list[str] | None
reveal_type(client.set("/a", b""))                           # int
reveal_type(client.set("/a", 1, codec=codecs.INT))           # int
reveal_type(client.update(lambda tx: tx.get("/a").value))    # bytes
client.set("/a", "text")                                     # error
secret = codecs.sealed({"2026": b""}, codecs.INT).at("/a")
reveal_type(secret)                                          # SealedCodec[int]
reveal_type(codecs.sealed([b"", b""]))                       # SealedCodec[bytes]
reveal_type(client.get("/a", codec=secret).value)            # int
reveal_type(visor.dial(codec=codecs.sealed(b"", codecs.TEXT)).get("/a").value)  # str
client.set("/a", "text", codec=secret)                       # error
codecs.sealed("a text is no key")                            # error
visor.dial(codec=codecs.INT).set("/a", b"")                  # error
visor.dail()                                                 # error
visor.aio.nonsense                                           # error
visor.registry.nonsense                                      # error

mirror = visor.Mirror(client, "/**")
reveal_type(mirror)                                          # Mirror[bytes]
reveal_type(mirror["/a"].value)                              # bytes
reveal_type(mirror.get("/a"))                                # File[bytes] | None
reveal_type(mirror.get("/a", 1))                             # File[bytes] | int
reveal_type(mirror.snapshot().value("/a"))                   # bytes
reveal_type(visor.Mirror(text).value("/a"))                  # str
reveal_type(visor.Mirror(text, codec=codecs.INT).value("/a"))           # int
reveal_type(Source(text, "/**"))                             # Source[str]
reveal_type(Source(text, "/**", codec=codecs.INT))           # Source[int]
reveal_type(visor.watch_one(text, "/a").value)               # str

def bare(client: visor.Client, file: visor.File, commit: visor.Commit, mirror: visor.Mirror) -> visor.Snapshot:
    reveal_type(client)                                      # Client[bytes]
    reveal_type(file.value)                                  # bytes
    reveal_type(mirror.value("/a"))                          # bytes
    reveal_type(commit.changes[0].value)                     # bytes | None
    return client.snapshot()

bare(client, client.get("/a"), client.wait("/a"), mirror)
bare(text, client.get("/a"), client.wait("/a"), mirror)      # error

class Nodes(visor.Follower):
    pass

visor.follow(Source(text, "/**"), Nodes())
with Following(mirror, Nodes()) as following:
    reveal_type(following.rev)                               # int

class Task(Record):
    pass

def stored(store: Store) -> None:
    reveal_type(store.find(Task, by.id("t1")))               # list[Task]
    reveal_type(store.get(Task, "t1"))                       # Task | None
    reveal_type(store.update(lambda tx: tx.find(Task)))      # list[Task]
    reveal_type(store.snapshot().find(Task))                 # list[Task]
    reveal_type(store.watch(on(Task)).next().version)        # int

result = text.txn({"/a": guard.missing()}, then=[op.get("/a"), op.ls("/")])
reveal_type(result)                                          # Result[File[str]]
reveal_type(result.results[0])                               # File[str] | list[tuple[str, Node]] | None
reveal_type(result.file())                                   # File[str] | None
reveal_type(result.listing(1))                               # list[tuple[str, Node]]
reveal_type(text.txn(codec=codecs.INT).file())               # File[int] | None
reveal_type(client.status().alarms)                          # tuple[str, ...]
reveal_type(client.status().members[0].name)                 # str
reveal_type(client.get("/a").detached().value)               # bytes

anything = visor.dial(codec=codecs.JSON)
port: int = anything.get("/a").value["port"] + 1
anything.set("/a", {"port": [1, None]})
loose: visor.Client[object] = anything
settings = visor.dial(codec=codecs.JsonCodec[Settings]())
reveal_type(settings.get("/a").value["port"])                # int
settings.set("/a", {"prot": 1})                              # error
exact = visor.dial(codec=codecs.JsonCodec[codecs.Json]())
exact.set("/a", object())                                    # error

async def main() -> None:
    async with visor.aio.dial(codec=codecs.TEXT) as client:
        reveal_type((await client.get("/a")).value)          # str
        reveal_type(await client.rev())                      # int
        reveal_type(visor.aio.Mirror(client)["/a"].value)    # str
        reveal_type((await client.txn()).file())             # File[str] | None

async def plain(client: visor.aio.Client) -> None:
    reveal_type((await client.get("/a")).value)              # bytes
"""


def said_by_mypy(file: Path) -> str:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--hide-error-context"]
    done = subprocess.run(
        [*command, "--python-version", "3.11", str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    return done.stdout


def said_by_pyright(file: Path) -> str:
    """Return what pyright says in its strict mode, where it is installed; no test installs it."""
    name = next((one for one in ("pyright", "basedpyright") if importlib.util.find_spec(one)), None)
    if name is None:
        pytest.skip("pyright is not installed")
    settings = {
        "include": [file.name],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "extraPaths": [str(ROOT)],
    }
    file.with_name("pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", name, "-p", str(file.parent), "--pythonpath", sys.executable]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=file.parent).stdout


def plainly(said: str) -> str:
    """Return a message without the modules in which things are written, unions as they are written in code."""
    said = re.sub(
        r"\b(?:visor|builtins|typing|sample)\.(?:\w+\.)*(?=\w)", "", said.replace('"', "").replace("?", "")
    )
    said = said.removeprefix("note: Revealed type is ").rpartition(" is ")[2]
    while (
        union := re.search(r"Union\[([^\[\]]*(?:\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\][^\[\]]*)*)\]", said)
    ) is not None:
        said = said[: union.start()] + union[1].replace(", None", " | None") + said[union.end() :]
    return said


@pytest.mark.parametrize("checker", [said_by_mypy, said_by_pyright])
def test_types_follow_the_codec(checker: Callable[[Path], str], tmp_path: Path) -> None:
    file = tmp_path / "sample.py"
    file.write_text(SAMPLE)
    output = checker(file)
    said: dict[int, str] = {}
    for number, what in re.findall(r"sample\.py:(\d+)(?::\d+ -|:) (.*)", output):
        said.setdefault(int(number), what)
    for number, line in enumerate(SAMPLE.splitlines(), 1):
        code, _, expected = line.partition("#")
        found = said.pop(number, "nothing")
        if expected.strip() == "error":
            assert found.startswith("error"), f"{code.strip()}: not refused: {output}"
        else:
            assert plainly(found) == (expected.strip() or "nothing"), f"{code.strip()}: {found}\n{output}"
    assert not said


def test_type_checkers_alone_need_typing_extensions() -> None:
    """The client runs on Python 3.11 with msgpack alone, where type variables have no defaults."""
    code = (
        "import sys; sys.modules['typing_extensions'] = None; import visor, visor.aio; "
        "visor.Client, visor.aio.Client, visor.Mirror, visor.store.Store, visor.Client[int]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
