"""Passwords: made into digests, and compared with them, beside the loop and within bounds.

    passwords = Passwords(environment.loop.time)
    passwords.digest("correct horse", reply)                         reply("$argon2id$v=19$m=19456,t=2,p=1$...")
    passwords.prove("$argon2id$...", "correct horse", "10.0.0.7", reply)     reply(True), reply(False)

Each takes some 30 ms of a processor and 19 MiB (argon2id, with the parameters that OWASP names), which is what makes
guessing dear. So one is computed at a time, on a thread of its own that is there while there is work; few wait, fewer
of one address; and an address that was wrong `FREE` times waits until `WINDOW` seconds are over. What a user's digest
says of its own cost is believed up to a bound.

Where there is no such user, or it has no password, a digest that nothing fits is compared: that takes as long.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from visord.state.refusal import Refusal

LEAST: Final = 8
"""Characters of a password that is set."""
MOST: Final = 256
"""Characters of any."""
WAITING: Final = 16
"""Computations that wait, over all connections."""
WAITING_EACH: Final = 4
"""The same of one address."""
FREE: Final = 8
"""Wrong passwords of one address within `WINDOW` seconds, after which none is looked at."""
WINDOW: Final = 60.0
ADDRESSES: Final = 4096
"""Addresses whose wrong passwords are counted; the one that was wrong longest ago goes."""
MEMORY_KIB: Final = 19_456
PASSES: Final = 2
MOST_MEMORY_KIB: Final = 64 << 10
MOST_PASSES: Final = 4
MOST_LANES: Final = 4
"""What libraries make by default (64 MiB, 3 passes, 4 lanes) is within them. A user may set its own digest: one that
took seconds, said again and again, would keep everybody else from logging in."""
_WRITTEN: Final = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,3}),p=([0-9]{1,2})\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{16,90}"
)

Reply: TypeAlias = Callable[[Any], object]


class Hasher(Protocol):
    """What computes. `verify` tells whether a password fits; what it raises is this machine's own trouble."""

    def hash(self, password: str) -> str: ...

    def verify(self, digest: str, password: str) -> bool: ...


class Thread(Protocol):
    """Runs jobs in order, one at a time, and tells on the loop what came of each."""

    def submit(self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None: ...


class Passwords:
    """See the module. `now()`: monotonic seconds."""

    def __init__(
        self, now: Callable[[], float], thread: Thread | None = None, make: Callable[[], Hasher] | None = None
    ) -> None:
        self._now = now
        self._thread = thread or PassingThread()
        self._make = make or _Argon2
        self._hasher: Hasher | None = None
        self._nobody = ""
        self._waiting: dict[str, int] = {}
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def digest(self, password: Any, address: str, reply: Reply) -> None:
        """Tell the digest of a password that is to be set, or what is wrong with it."""
        if type(password) is not str or not LEAST <= len(password) <= MOST or not _is_text(password):
            text = f"a password has {LEAST} to {MOST} printable characters"
            reply(Refusal("bad_request", text, {"field": "password", "expected": text}))
            return
        self._compute(address, lambda hasher: hasher.hash(password), reply)

    def prove(self, digest: str | None, password: Any, address: str, reply: Reply) -> None:
        """Tell whether a password is the one of a digest; None: there is none, which nobody learns."""
        if type(password) is not str or len(password) > MOST or not _is_text(password):
            reply(False)
            return
        left = self._locked(address)
        if left > 0:
            text = f"too many wrong passwords came from there: none is looked at for {left:.0f} s"
            reply(Refusal("overloaded", text, {"what": "wrong passwords", "limit": FREE}))
            return

        def told(result: Any) -> None:
            if result is False:
                self._count(address)
            reply(result)

        self._compute(address, lambda hasher: self._fits(hasher, digest, password), told)

    def _fits(self, hasher: Hasher, digest: str | None, password: str) -> bool:
        """On the thread: compare."""
        if digest is not None and within_bounds(digest):
            return hasher.verify(digest, password)
        self._nobody = self._nobody or hasher.hash("nobody's password")
        hasher.verify(self._nobody, password)
        return False

    def _compute(self, address: str, work: Callable[[Hasher], Any], reply: Reply) -> None:
        mine = self._waiting.get(address, 0)
        if sum(self._waiting.values()) >= WAITING or mine >= WAITING_EACH:
            text = f"{WAITING} passwords are looked at already, or {WAITING_EACH} from there: try again"
            reply(Refusal("overloaded", text, {"what": "passwords", "limit": WAITING}))
            return
        self._waiting[address] = mine + 1

        def done(result: Any, error: BaseException | None) -> None:
            left = self._waiting.pop(address) - 1
            if left:
                self._waiting[address] = left
            if error is not None:
                result = Refusal(
                    "internal", f"the password could not be looked at: {type(error).__name__}", {}
                )
            reply(result)

        try:
            self._thread.submit(lambda: work(self._ready()), done)
        except RuntimeError as error:  # there is no thread to be had: the place must not stay taken
            done(None, error)

    def _ready(self) -> Hasher:
        if self._hasher is None:
            self._hasher = self._make()
        return self._hasher

    def _locked(self, address: str) -> float:
        """Return for how many seconds no password of an address is looked at."""
        wrong = self._wrong.get(address)
        if wrong is None or len(wrong) < FREE:
            return 0.0
        return wrong[0] + WINDOW - self._now()

    def _count(self, address: str) -> None:
        self._wrong.setdefault(address, deque(maxlen=FREE)).append(self._now())
        self._wrong.move_to_end(address)
        if len(self._wrong) > ADDRESSES:
            self._wrong.popitem(last=False)


def within_bounds(digest: str) -> bool:
    """Tell whether comparing with a digest costs no more than it may, and it is one at all."""
    found = _WRITTEN.fullmatch(digest)
    if found is None:
        return False
    memory, passes, lanes = map(int, found.groups())
    return memory <= MOST_MEMORY_KIB and 1 <= passes <= MOST_PASSES and 1 <= lanes <= MOST_LANES


class PassingThread:
    """A thread for each job, after the one before: there is none while there is nothing to do, and nothing to close."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def submit(self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        """Run `job()`, then `done(result, error)` on the loop that is running."""
        loop = asyncio.get_running_loop()

        def run() -> None:
            result, failed = None, None
            try:
                with self._turn:
                    result = job()
            except BaseException as error:  # told to who waits
                failed = error
            try:
                loop.call_soon_threadsafe(done, result, failed)
            except RuntimeError:  # the loop has ended meanwhile
                return

        threading.Thread(target=run, name="visord-password", daemon=True).start()


class _Argon2:
    """argon2id. The library tells by errors that a password is another one, or that a digest is none."""

    def __init__(self) -> None:
        import argon2

        self._hasher = argon2.PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)
        self._another = (argon2.exceptions.VerifyMismatchError, argon2.exceptions.InvalidHashError)

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def verify(self, digest: str, password: str) -> bool:
        try:
            return self._hasher.verify(digest, password)
        except self._another:
            return False


def _is_text(text: str) -> bool:
    return text.isprintable() and text.encode("utf-8", "ignore").decode() == text
