"""What an operator can set, with defaults, units and bounds. `config` says where the values come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Bytes = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A part of the settings: unknown keys are errors, values never change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ListenSettings(Section):
    """Where clients connect."""

    client: str = "127.0.0.1:8046"
    """HOST:PORT; port 0 picks a free one."""
    unix: Path | None = None
    """Path of a Unix socket, besides TCP."""
    connections: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    in_flight: Annotated[int, Field(ge=1, le=65_536)] = 1024
    """Unanswered requests of one connection before the server stops reading it."""
    watches: Annotated[int, Field(ge=0, le=1_000_000)] = 4096
    """Watches of one connection."""
    insecure: bool = False
    """Allow a listening address other than loopback, although nothing is encrypted or authenticated."""


class StorageSettings(Section):
    """How the log and checkpoints use the disk."""

    log_segment_bytes: Annotated[int, Field(ge=256 * 1024, le=1 << 30)] = 64 << 20
    log_chunk_bytes: Annotated[int, Field(ge=64 * 1024, le=1 << 28)] = 4 << 20
    """Log space that is allocated and written in advance at a time."""
    log_keep_bytes: Bytes = 16 << 20
    """Log that is kept after a checkpoint, so that a replica which lags a little needs no checkpoint."""
    history_segment_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 32)] = 64 << 20
    checkpoint_log_bytes: Annotated[int, Field(ge=64 * 1024)] = 64 << 20
    """Make a checkpoint after this much log."""
    checkpoint_seconds: Annotated[float, Field(gt=0)] = 300.0
    """Make a checkpoint after this time, when anything has changed."""


class LogSettings(Section):
    """The server's own log lines (on standard error)."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"
    """auto: text on a terminal, JSON lines elsewhere."""


class NodeSettings(Section):
    """One node."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "n1"
    data_dir: Path = Path("/var/lib/visord")


class Settings(Section):
    """Everything. A key is written `section.key` in messages, `[section] key` in TOML."""

    node: NodeSettings = NodeSettings()
    listen: ListenSettings = ListenSettings()
    storage: StorageSettings = StorageSettings()
    log: LogSettings = LogSettings()
