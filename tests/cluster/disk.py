"""A small file system of its own for a member's data, that can be filled."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

BALLAST = "ballast"


class NoMountError(Exception):
    """A file system cannot be mounted here; the text says why."""


class SmallDisk:
    """A tmpfs of `size` bytes mounted at `place`. Raises `NoMountError`."""

    def __init__(self, place: Path, size: int) -> None:
        self.place = place
        place.mkdir(parents=True, exist_ok=True)
        if os.geteuid():
            raise NoMountError("mounting takes root")
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoMountError(done.stderr.strip() or f"mount ended with {done.returncode}")

    def fill(self, leave: int) -> None:
        """Take all space but `leave` bytes."""
        self.empty()
        status = os.statvfs(self.place)
        size = status.f_bavail * status.f_frsize - leave
        if size > 0:
            with (self.place / BALLAST).open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)

    def empty(self) -> None:
        """Give the space back."""
        with contextlib.suppress(FileNotFoundError):
            (self.place / BALLAST).unlink()

    def close(self) -> None:
        """Unmount, with all that is on it. Idempotent."""
        subprocess.run(["umount", "-l", str(self.place)], capture_output=True, check=False)


def can_mount(place: Path) -> str:
    """Return why no file system can be mounted below `place`; "" when one can."""
    try:
        disk = SmallDisk(place / "probe", 1 << 20)
    except NoMountError as error:
        return str(error)
    disk.close()
    return ""
