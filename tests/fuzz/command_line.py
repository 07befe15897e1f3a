"""Everything that can come from outside of the command `visor`: words, standard input, environment, closed streams.

Two ways of running it: in this process, some hundred times a second, and as a process of its own, with bytes that no
text can hold and with descriptors that are closed. Whatever comes in:

    the exit code is one of the contract's; standard error has no traceback and no defect, one line when it failed and
    none when it did not; with JSON that line is an object that tells the same exit code; it ends
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from tests.node_process import NodeProcess
from visor.cli.app import COMMANDS, app
from visor.cli.run import asks_for_json, run

PATIENCE = 0.4
"""Seconds after which a run that waits (as `watch` does) is interrupted."""
CODES = frozenset((*range(11), 124, 129, 130, 131, 141, 143))
SILENT = frozenset((0, 129, 130, 131, 141, 143))
"""Codes without a word on standard error."""
ROOT = Path(__file__).resolve().parents[2]

PATHS = (
    "/",
    "/a",
    "/a/b",
    "/apps/web",
    "/locks/x",
    "//",
    "/a/",
    "a",
    "",
    "/ä",
    "/\udcff",
    "/..",
    "/a b",
    "/" + "x" * 300,
)
GLOBS = ("/**", "/*", "/a/*", "/a/**/b", "/[", "**", "/***", "/" + "**a" * 70)
NUMBERS = ("0", "1", "7", "-1", "99999", "9" * 20, "9" * 5000, "1.5", "1e9", "²", "0x10", "latest", "")
TIMES = (
    "10s",
    "0s",
    "1ms",
    "2026-03-01T12:00:00Z",
    "2026-13-01",
    "1h ago",
    "inf",
    "nan",
    "-5s",
    "10",
    "9" * 400,
    "1d",
)
VALUES = (
    "x",
    "-",
    "--",
    "-1",
    "-5x",
    "@",
    "@@x",
    "@/dev/null",
    "@/nope",
    "@/",
    "\udcff\udcfe",
    "",
    "x" * 5000,
    '{"a": 1}',
)
NAMES = (
    "web",
    "v1",
    "worker",
    "n1",
    "h:80",
    "KEY=VALUE",
    "=",
    "a=b=c",
    "\u202e",
    "%s{0}\n",
    "prod",
    "bash",
    "start",
)
JUNK = (
    "--jsn",
    "--",
    "-o",
    "--rev",
    "--no-such",
    "-x",
    "gett",
    "--addr",
    "--help",
    "-h",
    "-V",
    "--timeout",
    "-y",
    "--json",
)
CHILDREN = (
    ["true"],
    ["false"],
    ["/no/such"],
    ["/"],
    [""],
    ["\udcff"],
    ["sh", "-c", "exit 7"],
    ["sh", "-c", "kill -9 $$"],
)
ADDRESSES = (
    "127.0.0.1:1",
    "http://127.0.0.1:1",
    "[::1",
    "unix:",
    "unix:/nope",
    ",",
    "h:port",
    "\udcff:1",
    "doozer:?x",
    "",
)
INPUTS = (
    b"",
    b"x",
    b"\xff\x00",
    b"guard rev /a 7\nset /a x\n",
    b'{"then": [{"get": "/a"}]}',
    b"set /a 'x",
    b"y\n",
    b"{" * 5000,
)
ENVIRONMENT: Mapping[str, Sequence[str]] = {
    "VISOR_OUTPUT": ("json", "jsonl", "plain", "table", "yaml", "\udcff"),
    "VISOR_TIMEOUT": ("50ms", "x", "0", "-1", "\udcff"),
    "VISOR_ROOT": ("/", "/r", "x", "/\udcff", ""),
    "VISOR_ACTOR": ("ann", "\udcff", "x" * 5000, "\x1b[2J"),
    "VISOR_CONTEXT": ("none", "\udcff"),
    "VISOR_TOKEN": ("t", "\udcff"),
    "VISOR_TOKEN_FILE": ("/nope", "/dev/null", "/"),
    "VISOR_CACERT": ("/ca", "/dev/null", "/", "system", "\udcff"),
    "VISOR_CERT": ("/c", "/dev/null", "\udcff"),
    "VISOR_KEY": ("/k", "\udcff"),
    "VISOR_SERVER_NAME": ("registry.example", ".", "a b", "x" * 300, "\x1b[2J", "\udcff"),
    "XDG_CONFIG_HOME": ("/nope", "relative", "/dev/null", ""),
    "HOME": ("", "/nope"),
    "COLUMNS": ("1", "20", "abc", "0", "9" * 9),
    "TERM": ("dumb", "xterm"),
    "FORCE_COLOR": ("1",),
    "NO_COLOR": ("1",),
    "_VISOR_COMPLETE": ("bash", "fish", "tcsh"),
    "_VISOR_LINE": ("visor ", "visor get /", "visor set '", "visor \0", "visor app sh", "visor \udcff"),
}


@dataclass(slots=True)
class Outcome:
    """What happened. `problems` is empty when everything held."""

    problems: list[str] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)

    def report(self) -> str:
        """Return the figures."""
        codes = ", ".join(f"{code}: {count}" for code, count in sorted(self.codes.items()))
        ways = ", ".join(f"{count} {way}" for way, count in sorted(self.ways.items()))
        return f"{sum(self.codes.values())} command lines ({ways}); exit codes {codes}"


@dataclass(slots=True)
class Case:
    """One run. `closed` holds which of "ioe" (in, out, error) are, `terminal` which are a terminal."""

    words: list[str]
    stdin: bytes
    environment: dict[str, str]
    closed: str = ""
    terminal: str = ""

    def __str__(self) -> str:
        shown = [word if len(word) < 80 else f"{word[:40]}... ({len(word)})" for word in self.words]
        odd = {name: text for name, text in self.environment.items() if name in ENVIRONMENT}
        return f"visor {shown!r}, stdin {self.stdin[:40]!r}, {odd!r}, closed {self.closed!r}, tty {self.terminal!r}"


# -- making cases -------------------------------------------------------------------------------------
class Maker:
    """Makes cases from a seed: mostly command lines that nearly make sense, for nothing else gets far."""

    def __init__(self, seed: int, address: str, home: Path) -> None:
        self.random = random.Random(seed)
        self._address = address
        self._home = home

    def case(self) -> Case:
        """Return the next one."""
        rolled = self.random
        words = self._words()
        for _ in range(rolled.choice((0, 0, 0, 1, 2))):
            words.insert(rolled.randrange(len(words) + 1), rolled.choice(JUNK))
        if rolled.random() < 0.3:
            words.append("--json")
        environment = {
            "VISOR_ADDR": self._address,
            "VISOR_TIMEOUT": "100ms",
            "XDG_CONFIG_HOME": str(self._home),
        }
        environment |= {"HOME": str(self._home), "PATH": os.environ.get("PATH", ""), "VISOR_DISCOVER": "0"}
        if rolled.random() < 0.2:
            name = rolled.choice(list(ENVIRONMENT))
            environment[name] = rolled.choice(ENVIRONMENT[name])
            if name.startswith("_"):
                environment.setdefault("_VISOR_COMPLETE", "bash")
        closed = "".join(each for each in "ioe" if rolled.random() < 0.07)
        terminal = "".join(each for each in "ioe" if each not in closed and rolled.random() < 0.15)
        return Case(words, rolled.choice(INPUTS), environment, closed, terminal)

    def _words(self) -> list[str]:
        rolled = self.random
        name = rolled.choice(list(COMMANDS))
        words, command = [name], app.get_command(click.Context(app), name)
        while isinstance(command, click.Group) and rolled.random() < 0.95:
            name = rolled.choice(command.list_commands(click.Context(command)) or ["x"])
            words.append(name)
            command = command.get_command(click.Context(command), name)
        if command is None:
            return words
        for parameter in command.params:
            words += self._given(parameter)
        if getattr(command, "takes_child", False) and rolled.random() < 0.7:
            words += ["--", *rolled.choice(CHILDREN)]
        if rolled.random() < 0.05:
            words[:0] = ["--addr", rolled.choice(ADDRESSES)]
        return words

    def _given(self, parameter: click.Parameter) -> list[str]:
        rolled = self.random
        if isinstance(parameter, click.Argument):
            count = rolled.choice((0, 1, 2)) if parameter.nargs == -1 else int(rolled.random() < 0.93)
            return [self._word(parameter) for _ in range(count)]
        assert isinstance(parameter, click.Option)
        if parameter.name in ("addr", "root", "context", "output", "json", "help") or rolled.random() > 0.15:
            return []
        name = rolled.choice(parameter.opts)
        return [name] if parameter.is_flag else [name, self._word(parameter)]

    def _word(self, parameter: click.Parameter) -> str:
        rolled = self.random
        name = f"{parameter.name} {getattr(parameter, 'metavar', '') or ''}".lower()
        if isinstance(parameter.type, click.Choice) and rolled.random() < 0.9:
            return str(rolled.choice(list(parameter.type.choices)))
        likely: Sequence[str] = NAMES
        for word, kind in (
            ("glob", GLOBS),
            ("path", PATHS),
            ("value", VALUES),
            ("time", TIMES),
            ("ttl", TIMES),
        ):
            if word in name:
                likely = kind
        if isinstance(parameter.type, click.IntRange) or " n" in name or "rev" in name.split():
            likely = NUMBERS
        return rolled.choice(likely if rolled.random() < 0.8 else (*PATHS, *VALUES, *NUMBERS, *TIMES, *NAMES))


# -- running them -------------------------------------------------------------------------------------
class _Interrupter:
    """Sends this process SIGUSR1, which interrupts the run under way; one that has ended meanwhile is let be."""

    def __init__(self) -> None:
        self._armed = False

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        before = signal.signal(signal.SIGUSR1, self._arrived)
        try:
            yield
        finally:
            signal.signal(signal.SIGUSR1, before)

    def _arrived(self, number: int, frame: object) -> None:
        if self._armed:
            self._armed = False
            raise KeyboardInterrupt

    def run(self, function: Callable[[], int]) -> int:
        """Run it, for `PATIENCE` seconds at most."""
        main = threading.main_thread().ident
        assert main is not None
        timer = threading.Timer(PATIENCE, lambda: signal.pthread_kill(main, signal.SIGUSR1))
        timer.daemon = True
        self._armed = True
        timer.start()
        try:
            return function()
        except KeyboardInterrupt:  # it was just about to return
            return 130
        finally:
            self._armed = False
            timer.cancel()
            timer.join()


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def run_inside(case: Case, interrupter: _Interrupter) -> tuple[int, bytes, str]:
    """Run it in this process; return exit code, output and errors."""
    out, err = io.BytesIO(), io.BytesIO()
    kinds = {each: _Terminal if each in case.terminal else io.TextIOWrapper for each in "ioe"}
    streams: dict[str, Any] = {
        "stdin": kinds["i"](io.BytesIO(case.stdin), "utf-8") if "i" not in case.closed else None,
        "stdout": kinds["o"](out, "utf-8") if "o" not in case.closed else None,
        "stderr": kinds["e"](err, "utf-8", "backslashreplace") if "e" not in case.closed else None,
    }
    before = {name: getattr(sys, name) for name in streams}
    try:
        for name, stream in streams.items():
            setattr(sys, name, stream)
        code = interrupter.run(lambda: run(case.words, case.environment))
        for stream in (streams["stdout"], streams["stderr"]):
            if stream is not None:
                stream.flush()
    finally:
        for name, stream in before.items():
            setattr(sys, name, stream)
    return code, out.getvalue(), err.getvalue().decode("utf-8", "replace")


def _interruptible() -> None:
    """In a new process: be interrupted, also where a script began all this beside itself and has SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_outside(case: Case) -> tuple[int, bytes, str]:
    """Run it as a process of its own; without terminals."""
    closing = "".join(f" {number}{sign}&-" for each, number, sign in (("i", 0, "<"), ("o", 1, ">"), ("e", 2, ">"))
                      if each in case.closed)  # fmt: skip
    line = [os.fsencode(word.replace("\0", "")) for word in case.words]
    environment = {name: text.replace("\0", "") for name, text in case.environment.items()}
    with tempfile.TemporaryFile() as stdin:
        stdin.write(case.stdin)
        stdin.seek(0)
        process = subprocess.Popen(
            [b"sh", b"-c", f'exec "$PYTHON" -m visor "$@"{closing}'.encode(), b"sh", *line],
            env={**environment, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=_interruptible,  # noqa: PLW1509 - one call of the system
        )  # fmt: skip
        try:
            out, err = process.communicate(timeout=PATIENCE + 3)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=30)
                return 130, b"", ""  # on a busy machine it may have been the interpreter that still began
            except subprocess.TimeoutExpired:
                process.kill()
                out, _ = process.communicate()
                return -9, out, "it did not end when it was interrupted"
    return process.returncode, out, err.decode("utf-8", "replace")


def judge(case: Case, code: int, out: bytes, err: str) -> list[str]:
    """Return what is wrong."""
    wrong = []
    own = "--" not in case.words  # otherwise the code may be that of another command
    if (own and code not in CODES) or code < 0:
        wrong.append(f"exit code {code}")
    if "Traceback" in err or "defect" in err:
        wrong.append("a defect")
    told = "e" not in case.closed and "_VISOR_COMPLETE" not in case.environment
    lines = err.splitlines()
    if "i" in case.terminal or "e" in case.terminal or not told or not own:
        return wrong
    if code in SILENT and err:
        wrong.append("words without a failure")
    if (
        code not in SILENT
        and not err
        and code != 3
        and "health" not in case.words
        and "hash" not in case.words
    ):
        wrong.append(
            "no reason is given"
        )  # 3 is the answer of `rev exists`, and other codes those of `cluster health`
    if len(lines) > 1 and not err.startswith("Usage:"):
        wrong.append("more than one line")
    if asks_for_json(case.words) and lines and code not in SILENT:
        wrong += _not_json(lines[-1], code)
    return wrong


def _not_json(line: str, code: int) -> list[str]:
    try:
        found = json.loads(line)["error"]["exit_code"]
    except (ValueError, KeyError, TypeError):
        return ["no JSON on standard error"]
    return [] if found == code else [f"the JSON says exit code {found}"]


# -- the campaign -------------------------------------------------------------------------------------
def besiege(seconds: float, seed: int, *, most: int | None = None, outside: float = 0.05) -> Outcome:
    """Run command lines for so long, or so many; `outside` is the share of those in a process of their own."""
    outcome = Outcome()
    interrupter = _Interrupter()
    end = time.monotonic() + seconds
    with (
        tempfile.TemporaryDirectory(prefix="visor-fuzz-") as folder,
        NodeProcess(Path(folder) / "data") as node,
    ):
        maker = Maker(seed, node.address, Path(folder) / "home")
        with interrupter.installed():
            while time.monotonic() < end and (most is None or sum(outcome.codes.values()) < most):
                case = maker.case()
                # A server handles signals itself: only a real one ends it as it ends.
                apart = maker.random.random() < outside or "gateway" in case.words
                _step(case, apart, interrupter, outcome)
    return outcome


def _step(case: Case, outside: bool, interrupter: _Interrupter, outcome: Outcome) -> None:
    if outside:
        case.terminal = ""
    try:
        code, out, err = run_outside(case) if outside else run_inside(case, interrupter)
    except Exception as error:
        outcome.problems.append(f"{type(error).__name__}: {error}: {case}")
        return
    outcome.codes[code] += 1
    outcome.ways["as processes" if outside else "in this process"] += 1
    for wrong in judge(case, code, out, err):
        outcome.problems.append(f"{wrong}: {case}: exit code {code}, {err[:300]!r}")
