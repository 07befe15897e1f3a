"""A cluster that `visord init` founds, of one member in this process."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

import visor
from tests.patience import PATIENCE
from visord import embed
from visord.authority.founding import Founded, found
from visord.authority.location import locate
from visord.storage.disk import Disk, OsDisk

NOW_MS = 1_764_400_000_000


def begin(path: Path, disk: Disk | None = None, *, now_ms: int = NOW_MS) -> Founded:
    """Found a cluster in a directory, as `visord init` does."""
    where = locate("n1", "127.0.0.1:8046", None, [])
    rng = random.Random(1)
    return found(disk or OsDisk(), str(path), where, now_ms=now_ms, rng=rng, random_bytes=rng.randbytes)


def serve(path: Path) -> embed.Embedded:
    """Run its member at a free port."""
    member = path / "authority" / "member.pem"
    return embed.start(path, settings={"tls_cert": member, "tls_key": member})


def dial(node: embed.Embedded, path: Path, token: str | None = None) -> visor.Client[bytes]:
    """Dial it, by its authority."""
    ca = str(path / "authority" / "ca.pem")
    return visor.dial(node.address, tls=visor.TLS(ca=ca), token=token, timeout=PATIENCE)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Founded]:
    path = tmp_path_factory.mktemp("founded") / "data"
    return path, begin(path, now_ms=time.time_ns() // 1_000_000)
