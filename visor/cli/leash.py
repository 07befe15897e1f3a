"""Becomes a command that ends when its parent is gone, whichever way that was (`kill -9`, out of memory).

    visor lock --+-- this script, becomes CMD      the kernel sends it SIGTERM when visor dies (PR_SET_PDEATHSIG)
                 `-- watchdog                      reads a pipe that visor alone holds open. When that breaks, all of
                                                   CMD's process group gets SIGTERM, and SIGKILL `GRACE` seconds later

`visor.cli.tied` runs it as a program of its own: between fork and exec, a process that has threads can do next to
nothing. It is on the way to every command, so it loads little.

    python -I -S leash.py STATUS LIFE PARENT SIGNALS CMD ARGS...

STATUS is a descriptor that gets the number of the error when CMD cannot be run, LIFE the one that the watchdog reads
(-1: none), PARENT the process that must be there, SIGNALS those that are blocked until CMD takes over.
"""

from __future__ import annotations

import errno
import os
import sys
import time

try:  # without what `signal` makes of it: enums take longer to make than all that is done here
    import _signal as signal  # type: ignore[import-not-found]
except ImportError:
    import signal

GRACE = 5.0
"""Seconds that the command gets to end by itself."""
LOOK = 0.05
PR_SET_PDEATHSIG = 1
NOT_RUN = 127


def main(arguments: list[str]) -> int:
    """Become the command; return only when that cannot be."""
    status, life, parent = (int(each) for each in arguments[:3])
    blocked = [int(each) for each in arguments[3].split(",") if each]
    words = list(arguments[4:])
    os.set_inheritable(status, False)
    if life >= 0:
        _set_watchdog(life, status)
    if not _tie(parent):
        return NOT_RUN
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, the command should not
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
    try:
        os.execvp(words[0], words)
    except (OSError, ValueError) as error:  # ValueError: no word can be so
        os.write(status, str(getattr(error, "errno", None) or errno.EINVAL).encode())
    return NOT_RUN


def _tie(parent: int) -> bool:
    """Have the kernel end this process with its parent, where it can. False: the parent is gone already."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return True  # no Linux: the watchdog has to do
    return os.getppid() == parent


def _set_watchdog(life: int, status: int) -> None:
    """Leave a process behind that is nobody's child and in nobody's way."""
    group = os.getpid()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os.close(life)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            _watch(life, status, group)
    finally:
        os._exit(0)


def _watch(life: int, status: int, group: int) -> None:
    """End the process group when nobody holds the other end of `life` any more; a word through it says to let it be."""
    os.chdir("/")
    os.close(status)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    if os.read(life, 1):
        return
    try:
        os.killpg(group, signal.SIGTERM)
        for _ in range(int(GRACE / LOOK)):
            time.sleep(LOOK)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:  # all of it has ended
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
