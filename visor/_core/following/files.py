"""Files by path in this process: what a mirror, and a snapshot of one, are read by. No request, no wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, NoReturn, Protocol, TypeVar, overload

from visor._core.following.cache import View
from visor._core.handles import BaseFile
from visor.errors import NotFound

D = TypeVar("D")
T_co = TypeVar("T_co", covariant=True)


class Valued(Protocol[T_co]):
    """A file, as far as it is read here."""

    @property
    def value(self) -> T_co:
        """The decoded value."""


V = TypeVar("V", bound=Valued[Any])
T = TypeVar("T")


class BaseFiles(Generic[V, T]):
    """Files V with values T, all at `rev`."""

    __slots__ = ("_held",)

    def __init__(self, held: View[V]) -> None:
        self._held = held

    @property
    def rev(self) -> int:
        """The rev at which these are the files."""
        return self._held.rev

    def __getitem__(self, path: str) -> V:
        """Return the file; KeyError when there is none."""
        file = self._held.get(path)
        if file is None:
            raise KeyError(path)
        return file

    @overload
    def get(self, path: str) -> V | None: ...
    @overload
    def get(self, path: str, default: D) -> V | D: ...
    def get(self, path: str, default: Any = None) -> Any:
        """Return the file, or `default` when there is none."""
        file = self._held.get(path)
        return default if file is None else file

    def value(self, path: str) -> T:
        """Return the value of the file; NotFound when there is none."""
        file = self._held.get(path)
        if file is None:
            raise NotFound(path=path, rev=self.rev)
        value: T = file.value
        return value

    def __contains__(self, path: object) -> bool:
        return self._held.get(str(path)) is not None

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths())

    def paths(self, below: str = "/") -> list[str]:
        """Return the paths of the files at or below a directory, in path order."""
        inside = "/" if below == "/" else below + "/"
        found = self._held.starting(inside)
        return [below, *found] if below in self else found

    def files(self, below: str = "/") -> list[V]:
        """Return the files at or below a directory, in path order."""
        found = (self._held.get(path) for path in self.paths(below))
        return [file for file in found if file is not None]

    def names(self, directory: str = "/") -> list[str]:
        """Return the names directly in a directory, in order, files and directories alike."""
        inside = "/" if directory == "/" else directory + "/"
        cut = len(inside)
        return list(dict.fromkeys(path[cut:].split("/", 1)[0] for path in self._held.starting(inside)))

    def __repr__(self) -> str:
        return f"<{len(self)} files at rev {self.rev}>"


class NotStarted:
    """The files of a mirror that has not been started: to read it as empty would be a lie."""

    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError(
            "this mirror is not started, so it has nothing yet: use it in a with block, or call start()"
        )

    __getitem__ = __iter__ = __len__ = __contains__ = get = _refuse


NOT_STARTED: Any = NotStarted()


class BaseMirror(Generic[V, T]):
    """The files of now, in a dict that moves on between two reads."""

    _files: dict[str, V]

    @property
    def rev(self) -> int:
        """The rev at which the mirror equals the registry."""
        raise NotImplementedError

    def snapshot(self) -> BaseFiles[V, T]:
        """Return the files held still at the present rev, as long as the result is kept."""
        raise NotImplementedError

    def __getitem__(self, path: str) -> V:
        """Return the file; KeyError when there is none."""
        return self._files[path]

    @overload
    def get(self, path: str) -> V | None: ...
    @overload
    def get(self, path: str, default: D) -> V | D: ...
    def get(self, path: str, default: Any = None) -> Any:
        """Return the file, or `default` when there is none."""
        return self._files.get(path, default)

    def value(self, path: str) -> T:
        """Return the value of the file; NotFound when there is none."""
        file = self._files.get(path)
        if file is None:
            raise NotFound(path=path, rev=self.rev)
        value: T = file.value
        return value

    def __contains__(self, path: object) -> bool:
        return path in self._files

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths())

    def paths(self, below: str = "/") -> list[str]:
        """Return the paths of the files at or below a directory, in path order."""
        return self.snapshot().paths(below)

    def files(self, below: str = "/") -> list[V]:
        """Return the files at or below a directory, in path order, all at one rev."""
        return self.snapshot().files(below)

    def names(self, directory: str = "/") -> list[str]:
        """Return the names directly in a directory, in order, files and directories alike."""
        return self.snapshot().names(directory)


def weight(file: BaseFile[Any]) -> int:
    """Return about how many bytes a file takes."""
    return 100 + len(file.path) + len(file._version[1] or b"")
