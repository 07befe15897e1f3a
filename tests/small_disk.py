"""A small file system of its own for a node's data, that can be filled while the node runs."""

from __future__ import annotations

import contextlib
import errno
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
        with (self.place / BALLAST).open("wb") as file:
            while (size := self._free() - leave) > 0:
                try:
                    os.posix_fallocate(file.fileno(), 0, size)
                    return
                except OSError as error:
                    # The node that lives here took some between the measuring and the taking.
                    if error.errno != errno.ENOSPC:
                        raise

    def _free(self) -> int:
        status = os.statvfs(self.place)
        return status.f_bavail * status.f_frsize

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
