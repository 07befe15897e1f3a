"""What users hold of a client, as far as it asks nothing: the client itself, a file, a snapshot.

Each class is the colourless half of one in `visor/aio`, which adds what waits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, Protocol, Self

from visor._core.generic import T
from visor._core.requests import checked_codec
from visor._core.shown import shown, word
from visor.codecs import BYTES, Codec
from visor.errors import Detached, LeaseLost, LeaseNotFound, RevMismatch
from visor.op import Leased
from visor.values import decode

if TYPE_CHECKING:
    from visor._core.root import Root
    from visor._core.state import ClientState


class _Nobody:
    """No client. Any use of it raises Detached."""

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        raise Detached()

    def __repr__(self) -> str:
        return "<no client>"


NO_CLIENT: Final[Any] = _Nobody()
_PLAIN: Final[object] = BYTES


class BaseFile(Generic[T]):
    """A file as it was at a rev."""

    __slots__ = ("_client", "_codec", "_path", "_rev", "_value", "_version")
    _value: T | None
    """The value once it is decoded, and None before: what decodes to None is decoded again, to None."""

    def __init__(self, client: Any, path: str, rev: int, version: list[Any], codec: Codec[T]) -> None:
        self._client = client
        self._path = path
        self._rev = rev
        self._version = version
        self._codec = codec
        # Most values are bytes and stay what they are: a thousand files are read without a call for each.
        self._value = version[1] if codec is _PLAIN else None

    @property
    def path(self) -> str:
        """Its path, without the root of the client."""
        return self._path

    @property
    def rev(self) -> int:
        """The rev that was read."""
        return self._rev

    @property
    def mod_rev(self) -> int:
        """The rev that last wrote it."""
        rev: int = self._version[0]
        return rev

    @property
    def created(self) -> int:
        """The rev that created it."""
        rev: int = self._version[2]
        return rev

    @property
    def count(self) -> int:
        """How many writes it has had since (1 at creation)."""
        count: int = self._version[3]
        return count

    @property
    def lease(self) -> int:
        """The lease that it is attached to; 0 for none."""
        lease: int = self._version[4]
        return lease

    @property
    def data(self) -> bytes:
        """The value as it is stored; ValueError when it was read with `keys`."""
        data: bytes | None = self._version[1]
        if data is None:
            raise ValueError(f"{self._path}: read with keys=True, so there is no value")
        return data

    @property
    def value(self) -> T:
        """The decoded value; DecodeError when the codec cannot read it."""
        value = self._value
        if value is None:  # the first time; a file that nobody looks into is not decoded
            self._value = value = decode(self._codec, self.data, self._path)
        return value

    def __getstate__(self) -> tuple[str, int, list[Any], Codec[T]]:
        return self._path, self._rev, list(self._version), self._codec

    def __setstate__(self, state: tuple[str, int, list[Any], Codec[T]]) -> None:
        self.__init__(NO_CLIENT, *state)  # type: ignore[misc]

    def __copy__(self) -> Self:
        return self  # immutable

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        assert isinstance(other, BaseFile)
        return self._path == other._path and self._version[:4] == other._version[:4]

    def __hash__(self) -> int:
        return hash((self._path, self._version[0]))

    def __repr__(self) -> str:
        data = self._version[1]
        value = "(value not read)" if data is None else f"= {shown(data)}"
        end = ", detached" if self._client is NO_CLIENT else ""
        return f"File({word(self._path)} {value} at rev {self._rev}, changed at {self._version[0]}{end})"


class BaseSnapshot:
    """The registry at one rev."""

    __slots__ = ("_client", "_rev")

    def __init__(self, client: Any, rev: int) -> None:
        self._client = client
        self._rev = rev

    @property
    def rev(self) -> int:
        """The rev."""
        return self._rev

    def _changed(self, path: str, found: list[Any] | None) -> RevMismatch:
        if found is not None:
            return RevMismatch(path=path, expected=self._rev, actual=found[0])
        return RevMismatch(
            f"{path}: deleted after rev {self._rev}", path=path, expected=self._rev, actual=None
        )

    def __getstate__(self) -> tuple[int]:
        return (self._rev,)

    def __setstate__(self, state: tuple[int]) -> None:
        self._client = NO_CLIENT
        (self._rev,) = state

    def __copy__(self) -> Self:
        return self  # immutable

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        assert isinstance(other, BaseSnapshot)
        return self._client is other._client and self._rev == other._rev

    def __hash__(self) -> int:
        return hash((id(self._client), self._rev))

    def __repr__(self) -> str:
        return f"Snapshot(rev {self._rev}{', detached' if self._client is NO_CLIENT else ''})"


class Connection(Protocol):
    """What a client tells of its driver."""

    @property
    def cluster(self) -> str | None:
        """The id of the cluster, once connected."""

    @property
    def address(self) -> str | None:
        """The address of the node that it is connected to."""

    @property
    def state(self) -> ClientState:
        """How it stands."""

    def describe(self) -> str:
        """Return which addresses it is for."""


class Keeping(Protocol):
    """What a client asks of what keeps its leases alive."""

    def surely(self) -> float:
        """Return for how many seconds all of its leases are held for sure."""

    def leases(self) -> list[Any]:
        """Return them."""


class Told(Protocol):
    """Those who are told of a client's state."""

    def remove(self, listener: Callable[[Any], object]) -> None:
        """Tell this one no more; ValueError when it was not told."""


OF_SESSIONS: Final = frozenset(("lock", "read_lock", "write_lock", "semaphore", "election", "party"))
"""What is looked for on a client, and is made by a session."""


class BaseClient(Generic[T]):
    """How a client stands, and whose leases are its own."""

    _codec: Codec[T]
    _root: Root
    _driver: Connection
    _keepers: Mapping[float, Keeping]
    _states: Told | None

    def _chosen(self, codec: Codec[Any] | None) -> Codec[Any]:
        """Return the codec of one call; TypeError when it is none."""
        return self._codec if codec is None else checked_codec(codec)

    def __repr__(self) -> str:
        return f"<visor client of {self._driver.describe()}, root {self._root.text}>"

    @property
    def root(self) -> str:
        """The path under which this client sees the registry."""
        return self._root.text

    @property
    def cluster(self) -> str | None:
        """The id of the cluster, once connected."""
        return self._driver.cluster

    @property
    def address(self) -> str | None:
        """The address of the node that the client is connected to now."""
        return self._driver.address

    @property
    def state(self) -> ClientState:
        """How it stands: connected, suspended (no connection just now), or lost (none any more, without `reopen`).

        A lost connection is noticed at once under asyncio and while something is waited for (a call, a watch, a
        lease that is kept alive), otherwise by the next call.
        """
        return self._driver.state

    def off_state(self, listener: Callable[[ClientState], object]) -> None:
        """Call it no more; ValueError when it was not to be called."""
        if self._states is None:
            raise ValueError("this listener was not to be called")
        self._states.remove(listener)

    if not TYPE_CHECKING:  # or a checker would take any misspelt name for one that is made here

        def __getattr__(self, name):
            if name in OF_SESSIONS:
                what = f"client.session().{name}(...): locks and the like belong to a session"
                raise AttributeError(f"a client has no {name}; write {what}", name=name, obj=self)
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
            )

    def _surely(self) -> float:
        """Return for how many seconds all leases that are kept alive are held for sure; math.inf without any."""
        return min((keeper.surely() for keeper in list(self._keepers.values())), default=math.inf)

    def _check_own(self, error: LeaseNotFound, lease: Leased | int | None = None) -> None:
        """Raise LeaseLost when the lease that is not there is one of this client's: from now on that is known."""
        kept = (each for keeper in list(self._keepers.values()) for each in keeper.leases())
        for own in (lease, *kept):
            if own is not None and not isinstance(own, int) and own.id == error.lease:
                if (told := getattr(own, "_gone", None)) is not None:
                    told()
                raise LeaseLost(lease=own.id) from error
