"""Rows as one plain table, and the machine that they were measured on."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.figures import Row, rate

Show = Callable[[Any], str]


def _time(microseconds: float) -> str:
    if microseconds < 1000:
        return f"{microseconds:.3g} us"
    if microseconds < 1e6:
        return f"{microseconds / 1000:.3g} ms"
    return f"{microseconds / 1e6:.3g} s"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


COLUMNS: list[tuple[str, str, int, Show]] = [
    ("p50_us", "p50", 8, _time),
    ("p99_us", "p99", 8, _time),
    ("cpu_us", "cpu/op", 8, _time),
    ("rss_mb", "memory", 9, lambda mb: f"{mb:.0f} MB"),
    ("echo", "of echo", 8, lambda ratio: f"{ratio:.0%}"),
]
"""(key in extra, heading, width, how a value is shown)."""

HIDDEN = {"max_us", "cpu_server", "cpu_client", "cpu_other", "errors", "error"}
"""Keys that only the JSON file holds."""

BUSY = 0.25
"""Cores that other processes may use before a row is marked as disturbed."""

_NAME, _RATE, _SECONDS = 52, 12, 9


def heading() -> str:
    """Return the table's first line."""
    names = "".join(f"{title:>{width + 1}}" for _, title, width, _ in COLUMNS)
    return f"{'':<{_NAME}}{'ops/s':>{_RATE}}{'seconds':>{_SECONDS}}{names}"


def line(row: Row) -> str:
    """Return one row of the table; a trailing `*` says that other processes were busy meanwhile."""
    name, _, seconds, extra = row
    cells = "".join(
        f"{show(extra[key]) if extra.get(key) is not None else '':>{width + 1}}"
        for key, _, width, show in COLUMNS
    )
    known = {key for key, *_ in COLUMNS} | HIDDEN
    others = "  ".join(f"{key}={_shown(value)}" for key, value in extra.items() if key not in known)
    mark = " *" if extra.get("cpu_other", 0.0) > BUSY else ""
    text = f"{name:<{_NAME}}{_number(rate(row)):>{_RATE}}{seconds:>{_SECONDS}.3g}{cells}  {others}{mark}"
    return text.rstrip()


def _shown(value: Any) -> str:
    return _number(value) if isinstance(value, (int, float)) else str(value)


def machine(folder: Path) -> dict[str, Any]:
    """Return what the figures depend on: processor, memory, system, versions, and the disk below `folder`."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mb": _memory_mb(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: found for name in ("msgpack", "uvloop", "pysyncobj") if (found := _version(name))},
        "fdatasync_s": round(_syncs(folder)),
        "load_average": os.getloadavg()[0],
    }


def described(machine: dict[str, Any]) -> str:
    """Return the machine as two lines of text."""
    packages = ", ".join(f"{name} {found}" for name, found in machine["packages"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_mb']:,} MB, "
        f"{machine['system']}\n"
        f"Python {machine['python']}, {packages}; {machine['fdatasync_s']:,} overwrites of 4 KiB "
        f"with fdatasync a second; load average {machine['load_average']:.2f}"
    )


def _processor() -> str:
    with contextlib.suppress(OSError):
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                return text.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_mb() -> int:
    with contextlib.suppress(OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1_000_000
    return 0


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _syncs(folder: Path, seconds: float = 0.3) -> float:
    """Return how many overwrites of one block the disk makes durable a second."""
    path = folder / f"visor-benchmark-sync-{os.getpid()}"
    block, count = bytes(4096), 0
    sync = getattr(os, "fdatasync", os.fsync)
    with path.open("wb", buffering=0) as file:
        try:
            file.write(bytes(1 << 20))
            sync(file.fileno())
            begin = time.perf_counter()
            while time.perf_counter() < begin + seconds:
                os.pwrite(file.fileno(), block, count % 256 * 4096)
                sync(file.fileno())
                count += 1
            return count / (time.perf_counter() - begin)
        finally:
            path.unlink()
