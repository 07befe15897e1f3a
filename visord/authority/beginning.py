"""`visord init` and `visord join` on this machine: the real disk, clock and randomness, and what people are told."""

from __future__ import annotations

import os
import random
import secrets
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from visord.authority.founding import found
from visord.authority.issuing import shown_digest
from visord.authority.location import BeginningError, locate
from visord.storage.disk import OsDisk


def init(
    directory: str, name: str, client: str, peer: str | None, hosts: Sequence[str], token_file: str | None
) -> Iterator[str]:
    """Found a cluster, and yield what the operator is told. Raises `BeginningError` and what storage raises."""
    path = str(Path(directory).resolve())
    where = locate(name, client, peer, hosts)
    kept = None if token_file is None else _new_file(token_file)
    try:
        founded = found(
            OsDisk(),
            path,
            where,
            now_ms=time.time_ns() // 1_000_000,
            rng=random.SystemRandom(),
            random_bytes=secrets.token_bytes,
        )
        if kept is not None:
            os.write(kept, f"{founded.token}\n".encode())
            os.fsync(kept)
    except BaseException:
        if token_file is not None:
            Path(token_file).unlink(missing_ok=True)
        raise
    finally:
        if kept is not None:
            os.close(kept)
    digest = shown_digest(founded.digest)
    yield f"{where.name} ({founded.member}) is the first member of cluster {founded.cluster}, in {path}"
    yield f"authority {digest}"
    if token_file is None:
        yield "root's token, which nobody can tell again; keep it in a file of mode 0600:"
        yield founded.token
    else:
        yield f"root's token is in {token_file}, and nobody can tell it again"
    yield "next:"
    yield f"  visord serve --data-dir {shlex.quote(path)}"
    named = "root.token" if token_file is None else token_file
    yield f"  visor login {where.client_told} --token-file {shlex.quote(named)} --ca-digest {digest}"


def _new_file(file: str) -> int:
    """Make a file that nobody else can read; what is there is not touched."""
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise BeginningError(f"--token-file {file} is there already: name a new file") from error
    except OSError as error:
        raise BeginningError(f"--token-file {file} cannot be made: {error.strerror}") from error
