"""The keeper of one instance: a process between the manager and what it runs, so that nothing of it runs on alone.

    manager --- lifeline (stdin), report (a descriptor) --- keeper --- the instance, all its processes

It is started as a program of its own, `python -I -S keeper.py REPORT WORD...`, and loads next to nothing. It is a
*subreaper*: a process below it whose parent ends becomes its child, however often it forks and whichever session it
moves to. So it can find all that the instance ever started, and ends it

- when the first process of the instance has ended: that is the end of the instance,
- when the lifeline is closed: the manager is gone, also by kill -9 (the kernel closes it), and the registry will call
  the instance lost and replace it,
- when the manager says so: `t` asks all processes to end (SIGTERM), `k` ends them.

What it reports, a line each: `pid N` or `error ERRNO`, and at the end `exit N` or `signal N`, with ` left N` when so
many processes could not be ended (of other users, or in the kernel's hands).

What remains possible: who may signal the keeper itself (the same user, root) can keep something alive. When the keeper
is killed, the first process dies with it, and the manager ends its group, but not what has left that group. When it is
stopped (SIGSTOP), the manager tells it to go on, and so does the kernel when the manager has gone; stopped again and
again, it is killed by the manager once the instance should end, after everything below it, but what forks just then
may get away, and where the manager has gone too, nobody ends anything.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PAUSE = 0.01
"""Seconds between two looks at what is still alive."""
PATIENCE = 10.0
"""Seconds after which what cannot be ended is left."""
LIFELINE = 0


def main(arguments: list[str]) -> int:
    """Run it until nothing of the instance is left."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # who started the manager may have blocked some
    report, words = int(arguments[0]), arguments[1:]
    os.set_inheritable(report, False)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _prctl(PR_SET_PDEATHSIG, signal.SIGCONT)  # one that was stopped sees that the manager has gone
    wake = _wake_on_child()
    try:
        first = _start(words)
    except OSError as error:
        _tell(report, f"error {error.errno}")
        return 1
    _tell(report, f"pid {first}")
    status = _keep(first, wake)
    ended, left = _end_all(first)
    status = ended if status is None else status
    if status is None:  # it could not even be ended
        status = signal.SIGKILL
    code = os.waitstatus_to_exitcode(status)
    _tell(report, (f"exit {code}" if code >= 0 else f"signal {-code}") + (f" left {left}" if left else ""))
    return 0


def _start(words: list[str]) -> int:
    """Start the first process, in a session and a group of its own; return its id. OSError when it cannot be run."""
    heard, said = os.pipe()  # both are closed by a successful exec
    pid = os.fork()
    if pid == 0:
        _become(words, said)
    os.close(said)
    with os.fdopen(heard, "rb") as pipe:
        failure = pipe.read()
    if failure:
        os.waitpid(pid, 0)
        raise OSError(int(failure), os.strerror(int(failure)))
    return pid


def _become(words: list[str], said: int) -> None:
    """Be the instance. Does not return."""
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for (
            number
        ) in signal.valid_signals():  # this interpreter ignores some, and who started the manager others
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, LIFELINE)
        if nothing != LIFELINE:
            os.close(nothing)
        os.execvp(words[0], words)
    except OSError as error:
        os.write(said, str(error.errno).encode())
    finally:
        os._exit(127)


def _keep(first: int, wake: int) -> int | None:
    """Do what the manager says until the first process ends or the manager is gone; return how it ended, or None."""
    poll = select.poll()
    for descriptor in (LIFELINE, wake):
        poll.register(descriptor, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if wake in ready:
            os.read(wake, 4096)
            ended, _ = _reap()
            if first in ended:
                return ended[first]
        if LIFELINE in ready:
            said = os.read(LIFELINE, 4096)
            if not said or b"k" in said:
                return None
            for pid in below(os.getpid()):
                _kill(pid, signal.SIGTERM)


def _end_all(first: int) -> tuple[int | None, int]:
    """End everything below; return how the first process ended, if it did now, and how many are left.

    A process that forks while `/proc` is read may be missed. So the kernel tells when all have ended: a process below
    has an ancestor among the children, or is one, as orphans become children before their parent can be waited for.
    """
    until, found = time.monotonic() + PATIENCE, None
    while True:
        some = below(os.getpid())
        for pid in some:
            _kill(pid, signal.SIGKILL)
        ended, more = _reap()
        found = ended.get(first, found)
        if not more:
            return found, 0
        if time.monotonic() > until:
            return found, max(1, len(some))
        time.sleep(PAUSE)


def _reap() -> tuple[dict[int, int], bool]:
    """Take note of all children that have ended, process id to status; say whether there are more that have not."""
    ended: dict[int, int] = {}
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return ended, True
            ended[pid] = status
    except ChildProcessError:
        return ended, False


def below(top: int) -> list[int]:
    """Return the processes that descend from one and have not ended, parents first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split(None, 2)[:2]
        except (OSError, ValueError):  # it is gone
            continue
        if state not in (b"Z", b"X"):
            children.setdefault(int(parent), []).append(int(name))
    found = [top]
    for pid in found:
        found += children.get(pid, ())
    return found[1:]


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return  # it is gone, or another user's


def _wake_on_child() -> int:
    """Return a descriptor that can be read whenever a child has ended."""
    heard, said = os.pipe()
    os.set_blocking(said, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(said, warn_on_full_buffer=False)
    return heard


def _tell(report: int, text: str) -> None:
    try:
        os.write(report, f"{text}\n".encode())
    except OSError:
        return  # nobody is there any more


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
