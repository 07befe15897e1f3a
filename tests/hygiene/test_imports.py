"""The dependencies form a pyramid, the core is pure, and the client needs msgpack alone.

The rules are those of `visord/DESIGN.md` section 3; imports are read from the source with `ast`, those under
`if TYPE_CHECKING` and inside functions count only where a rule says so.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("visor", "visord")

IMPURE = {
    "asyncio", "datetime", "io", "os", "pathlib", "random", "secrets", "socket", "subprocess",
    "tempfile", "threading", "time", "unicodedata", "uuid",
}  # fmt: skip

# fmt: off
VALUES = {
    "visor.auth", "visor.codecs", "visor.errors", "visor.guard", "visor.members", "visor.op", "visor.paths",
    "visor.protocol", "visor.select", "visor.values", "visor._version",
}
"""What the client's public values are made in: they know no connection."""
SHARED_DRIVERS = {
    f"visor._drivers.{name}"
    for name in ("chance", "clocks", "clusters", "environment", "forks", "sockets", "token_file")
}

ALLOWED: dict[str, set[str]] = {
    # layer -> packages of ours that it may import at module level
    "visor/protocol": {"visor.protocol", "visor._core.dataclass"},
    "visor/_core": {"visor._core", *VALUES},
    "visor/_drivers": {"visor._drivers", "visor._core", *VALUES},
    "visor/_drivers/aio": {"visor._drivers.aio", "visor._core", *SHARED_DRIVERS, *VALUES},
    "visor/_drivers/blocking": {"visor._drivers.blocking", "visor._core", *SHARED_DRIVERS, *VALUES},
    "visor/aio": {"visor.aio", "visor._drivers.aio", "visor._core", *SHARED_DRIVERS, *VALUES},
    "visor/blocking": {
        "visor.blocking", "visor._drivers.blocking", "visor._core", *SHARED_DRIVERS, *VALUES,
    },
    "visord/state": {"visord.state", "visor.protocol", "visor.paths"},
    "visord/watch": {"visord.watch", "visord.waiting", "visord.state", "visor.protocol", "visor.paths"},
    "visord/raft": {
        "visord.raft", "visord.peers.messages", "visord.peers.network", "visord.storage", "visord.state",
        "visord.naming", "visor.protocol", "visor._version",
    },
    "visord/storage": {
        "visord.storage", "visord.state", "visord.progress", "visor.paths", "visor.protocol", "visor._version",
    },
    "visord/peers": {
        "visord.peers", "visord.addresses", "visord.ending", "visord.naming", "visord.private_file", "visord.settings",
        "visord.logs", "visord.system_errors", "visord.state.refusal", "visord.state.formats", "visord.tls",
        "visor.protocol", "visor._core.tls_faults", "visor._version",
    },
    "visord/tls": {"visord.tls", "visord.private_file"},
    "visord/audit": {
        "visord.audit", "visord.storage", "visord.state", "visor.protocol", "visor._core.harmless",
    },
    "visord/members": {
        "visord.members", "visord.peers", "visord.raft", "visord.state", "visord.storage", "visord.waiting",
        "visord.environment", "visord.proposer", "visord.addresses", "visord.naming", "visord.logs", "visor.protocol",
        "visor._core.hosts",
    },
    "visord/authority": {
        "visord.authority", "visord.members.leader_calls", "visord.peers.messages", "visord.raft", "visord.storage",
        "visord.state", "visord.addresses", "visord.naming", "visord.audit", "visord.tls", "visord.logs",
        "visord.private_file",
        "visor.protocol", "visor._core.harmless", "visor._core.address", "visor._drivers.pinned",
    },
    "visord/leases": {
        "visord.leases", "visord.members.leader_calls", "visord.members.read_index", "visord.peers.messages",
        "visord.proposer", "visord.state", "visor.protocol",
    },
    "visord/serving": {
        "visord.addresses", "visord.admission", "visord.audit", "visord.authority", "visord.environment",
        "visord.leases",
        "visord.maintenance",
        "visord.scrubbing",
        "visord.peers", "visord.proposer", "visord.raft", "visord.readiness", "visord.storage",
        "visord.serving", "visord.members", "visord.watch", "visord.waiting", "visord.state", "visord.logs",
        "visord.progress", "visord.system_errors", "visord.tls",
        "visor.protocol", "visor._core.harmless", "visor._core.hosts", "visor._core.tls_faults", "visor._version",
    },
}
# fmt: on


def modules(below: str) -> list[Path]:
    return sorted((ROOT / below).rglob("*.py"))


def top_level_imports(tree: ast.Module) -> Iterator[str]:
    """Names imported when the module is loaded (not inside functions, not for type checking only)."""
    todo: list[ast.stmt] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            todo.extend(node.body + node.orelse)
        elif isinstance(node, ast.Try | ast.ClassDef):
            todo.extend(node.body)


def imports_of(path: Path) -> set[str]:
    return set(top_level_imports(ast.parse(path.read_text())))


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_a_layer_imports_only_what_lies_below_it(layer: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(layer)
        for name in imports_of(path)
        if any(is_within(name, package) for package in PACKAGES)
        and not any(is_within(name, allowed) for allowed in ALLOWED[layer])
    ]
    assert not wrong


@pytest.mark.parametrize("layer", ["visord/state", "visord/watch", "visor/protocol"])
def test_the_core_is_pure(layer: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(layer)
        for name in imports_of(path)
        if name.split(".")[0] in IMPURE
    ]
    assert not wrong


INPUT_OUTPUT = {
    "asyncio", "concurrent", "multiprocessing", "os", "pathlib", "secrets", "select", "selectors", "signal", "socket",
    "ssl", "subprocess", "tempfile", "threading", "time",
}  # fmt: skip
LOCKED = {"visor/_core/following/cache.py", "visor/_core/store/tables.py", "visor/_core/views/catalog.py"}
"""What threads read at once: a lock is held for a moment there, and never while something is waited for."""


def outside(path: Path) -> set[str]:
    """Return what a module takes from beyond the program: a lock of `threading` is none of it."""
    tree = ast.parse(path.read_text())
    found = {name.split(".")[0] for name in all_imports(tree)} & INPUT_OUTPUT
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "threading"
    }
    return found - {"threading"} if used and used <= {"Lock"} else found


@pytest.mark.parametrize("layer", ["visor/_core", "visor/aio", "visor/blocking", "visor/protocol"])
def test_only_the_drivers_reach_beyond_the_client(layer: str) -> None:
    """Sockets, tasks, threads, clocks and the environment are in `visor/_drivers`, and nowhere else."""
    assert [f"{path.relative_to(ROOT)}: {outside(path)}" for path in modules(layer) if outside(path)] == []


def test_the_core_of_the_client_never_waits() -> None:
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    paths = modules("visor/_core")
    assert [
        p for p in paths if any(isinstance(node, waits) for node in ast.walk(ast.parse(p.read_text())))
    ] == []
    locked = {str(p.relative_to(ROOT)) for p in paths if is_within_any(imports_of(p), "threading")}
    assert locked == LOCKED
    dice = {name for p in paths for name in imports_of(p) if is_within(name, "random")}
    assert dice == {"random.Random"}, "a type; who throws them is an argument"


def test_no_modules_of_the_client_import_each_other_at_load() -> None:
    assert circles(graph_of("visor", top_level_imports)) == []


WALKED_BOTH_WAYS = (
    "app", "base", "env", "events", "instance", "lock", "member", "proc", "revision", "scale", "service", "snapshot",
    "ticket",
)  # fmt: skip
"""The objects of the domain: `snapshot.app("web").snapshot` is a snapshot again, and a type checker has to know it."""


def test_no_modules_of_the_client_know_each_others_types() -> None:
    """A Protocol that is declared by who uses it says what it needs, but for one graph of objects."""
    allowed = [
        [f"visor.{colour}.registry.{name}" for name in WALKED_BOTH_WAYS] for colour in ("aio", "blocking")
    ]
    assert circles(graph_of("visor", all_imports)) == allowed


def test_the_client_never_loads_the_server() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("visor")
        for name in imports_of(path)
        if is_within(name, "visord")
    ]
    assert not wrong


def names_of(package: str) -> dict[str, Path]:
    """Return the modules of a package by their dotted names."""
    found = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in modules(package)}
    return {name.removesuffix(".__init__"): path for name, path in found.items()}


def all_imports(tree: ast.Module) -> Iterator[str]:
    """Names imported anywhere: late, and for types only, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def graph_of(package: str, imports: Callable[[ast.Module], Iterator[str]]) -> dict[str, set[str]]:
    """Return which modules of a package each of them imports."""
    known = names_of(package)
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        graph[name] = set()
        for imported in imports(ast.parse(path.read_text())):
            while imported and imported not in known:
                imported = imported.rpartition(".")[0]
            if imported and imported != name:
                graph[name].add(imported)
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the modules that reach themselves, those that reach each other together."""
    reached: dict[str, set[str]] = {}
    for name in graph:
        seen: set[str] = set()
        todo = [name]
        while todo:
            for other in graph[todo.pop()] - seen:
                seen.add(other)
                todo.append(other)
        reached[name] = seen
    inside = {name for name in graph if name in reached[name]}
    groups = {
        frozenset(one for one in inside if one in reached[name] and name in reached[one]) for name in inside
    }
    return sorted(sorted(group) for group in groups)


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"f"}, "f": {"e"}, "g": {"a"}}
    assert circles(graph) == [["a", "b", "c"], ["e", "f"]]


@pytest.mark.parametrize(
    "imports", [top_level_imports, all_imports], ids=["at load", "late and for types, too"]
)
def test_no_modules_of_the_server_import_each_other(imports: Callable[[ast.Module], Iterator[str]]) -> None:
    """A Protocol that is declared by who uses it says what it needs, where the type itself would close a circle."""
    assert circles(graph_of("visord", imports)) == []


def test_only_the_raft_package_imports_pysyncobj() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in modules("visor") + modules("visord")
        if not path.is_relative_to(ROOT / "visord/raft")
        and any(is_within(name, "pysyncobj") for name in imports_of(path))
    ]
    assert not wrong


def test_nothing_loads_pickles() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in modules("visor") + modules("visord")
        if any(name.split(".")[0] in {"pickle", "marshal", "shelve"} for name in imports_of(path))
    ]
    assert not wrong


def test_importing_visor_pulls_in_msgpack_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import visor; [getattr(visor, name) for name in visor.__all__]; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(*sorted(n for n in new if n not in sys.stdlib_module_names and not n.startswith('_')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    # msgpack is compiled by Cython, which adds a module of its own.
    assert set(loaded.stdout.split()) - {"cython_runtime"} <= {"visor", "msgpack"}


LOGGERS = {"visor/_core/log_lines.py", "visor/registry/procman/__main__.py"}


def test_the_library_logs_through_one_module() -> None:
    """`visor._core.log` loads `logging` for who wants to hear only; it takes longer than a whole request."""
    loading = {
        str(path.relative_to(ROOT)) for path in modules("visor") if is_within_any(imports_of(path), "logging")
    }
    assert loading <= LOGGERS


def is_within_any(names: set[str], package: str) -> bool:
    return any(is_within(name, package) for name in names)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is_for(package: str) -> None:
    assert not [
        str(path.relative_to(ROOT))
        for path in modules(package)
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
