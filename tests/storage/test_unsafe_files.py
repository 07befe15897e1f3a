"""Whatever lies in a data directory under whatever name: no hang, no byte outside, and an error that names it.

Every name that a data directory can hold, times everything that can lie there instead, times `serve`, `check` and
`recover`: who prepares a directory for others, or could once write in one, gets nothing by it.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import random
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from visord import embed
from visord.authority.authority_files import AuthorityFiles
from visord.authority.issuing import Authority, MemberNames, key_pem, new_key
from visord.check import check_directory
from visord.raft.log import RaftLog
from visord.recover import NothingToRecoverError, recover
from visord.storage.disk import OsDisk, read_all, write_atomic
from visord.storage.errors import OwnerError, StorageError
from visord.storage.guard import FILES
from visord.storage.opening import UnsafeFileError
from visord.storage.worker import Inline

SECONDS = 20
"""An operation that takes so long hangs: one that is well takes milliseconds."""
HUGE = 1 << 41
SECRET = b"root:secret\n"
TOP = [name for each in FILES for name in (each, f"{each}.tmp")]
LOG = [
    "log/vote",
    "log/mark",
    f"log/{1:020d}.log",
    f"log/spare-{7:020d}",
    "log/vote.tmp",
    f"log/{2:020d}.log.tmp",
]
AUTHORITY = [f"authority/{name}" for name in ("ca.pem", "ca-key.pem", "member.pem", "member.pem.tmp")]
NAMES = [*TOP, *LOG, *AUTHORITY, "log/something.log", "history/commits-000000000009", "log", "history"]


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    def fail(number: int, frame: FrameType | None) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that a node has left."""
    path = tmp_path_factory.mktemp("sound") / "data"
    embed.start(path).stop()
    now, key = datetime.datetime.now(datetime.UTC), new_key()
    authority = Authority.found("7f" * 16, new_key(), now, 4)
    files = AuthorityFiles(OsDisk(), str(path))
    files.make()
    files.keep_authority(authority.pem)
    files.keep_key(authority.key_pem or b"")
    certificate = authority.issue(key.public_key(), MemberNames("1" * 16, ("n1",)), now, 6)
    files.keep_member(certificate, authority.pem, key_pem(key))
    return path


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def data(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "data")
    return tmp_path / "data"


def serve(data: Path) -> None:
    embed.start(data).stop()


def repair(data: Path) -> None:
    with contextlib.suppress(NothingToRecoverError):  # it looked at everything before it said so
        recover(OsDisk(), str(data), random.Random(1))


def check(data: Path) -> None:
    for problem in check_directory(data).problems:
        raise problem


OPERATIONS: list[Callable[[Path], None]] = [serve, check, repair]


def to_link(file: Path, victim: Path) -> None:
    file.symlink_to(victim)


def to_directory_link(file: Path, victim: Path) -> None:
    file.symlink_to(victim.parent)


def to_missing_link(file: Path, victim: Path) -> None:
    file.symlink_to(victim.parent / "new")


def to_hard_link(file: Path, victim: Path) -> None:
    os.link(victim, file)


def to_pipe(file: Path, victim: Path) -> None:
    os.mkfifo(file, 0o600)


def to_zeros(file: Path, victim: Path) -> None:
    file.symlink_to("/dev/zero")


def to_directory(file: Path, victim: Path) -> None:
    file.mkdir(mode=0o700)


def to_huge(file: Path, victim: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(HUGE)


def to_foreign(file: Path, victim: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    file.write_bytes(b"")
    os.chown(file, 12345, 12345)


LIES = [
    to_link, to_directory_link, to_missing_link, to_hard_link, to_pipe, to_zeros, to_directory, to_huge, to_foreign,
]  # fmt: skip


def tree(path: Path) -> dict[str, tuple[int, ...]]:
    """What is there, as far as a writer would change it."""
    found = {}
    for directory, _, files in os.walk(path):
        for name in ("", *files):
            file = f"{directory}/{name}"
            status = os.lstat(file)
            found[file] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode)
    return found


def refuses(operation: Callable[[Path], None], data: Path, name: str, lie: Callable[..., None]) -> bool:
    """Whether the operation must end with an error about the file."""
    if name in ("log", "history") and lie in (to_directory, to_huge):
        return lie is to_huge
    if lie is to_huge and (operation, name) == (repair, "log/vote"):
        return False  # it says first that there is nothing to recover
    if lie is to_huge and name in AUTHORITY:
        return operation is serve and not name.endswith(".tmp")
    if lie is to_huge:
        return name.removeprefix("log/") in ("identity", "manifest", "vote", f"{1:020d}.log")
    if lie is to_hard_link and operation is check:
        return name in ("identity", "manifest", "log/vote", f"log/{1:020d}.log", "log", "history")
    return True


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("lie", LIES)
def test_every_name(
    operation: Callable[[Path], None],
    lie: Callable[[Path, Path], None],
    sound: Path,
    tmp_path: Path,
    victim: Path,
) -> None:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in NAMES:
        data = tmp_path / "data"
        shutil.copytree(sound, data)
        file = data / name
        shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
        lie(file, victim)
        before = tree(tmp_path)
        why = ""
        try:
            operation(data)
        except (OSError, StorageError) as error:
            why = str(error)
        assert victim.read_bytes() == SECRET, name
        assert not (tmp_path / "new").exists(), name
        if refuses(operation, data, name, lie):
            assert str(file) in why, (name, why)
        if operation is check or (str(file) in why and (lie, name) != (to_directory, "log")):
            assert tree(tmp_path) == before or lie is to_huge, name
        shutil.rmtree(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 200 << 10  # KiB


def test_what_is_open_to_others_is_closed_to_them(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    data.chmod(0o777)
    files = [data, data / "log", data / "identity", data / "lock", *data.glob("log/*")]
    for file in files:
        file.chmod(0o777 if file.is_dir() else 0o666)
    check(data)
    assert {file.stat().st_mode & 0o77 for file in files} == {0o77, 0o66}
    serve(data)
    assert {file.stat().st_mode & 0o77 for file in files if file.exists()} == {0}
    assert "0777" in caplog.text and str(data) in caplog.text


def test_a_wrong_data_dir_is_left_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "letter").write_text("dear")
    home.chmod(0o755)
    with pytest.raises(StorageError, match="not a data directory"):
        serve(home)
    assert home.stat().st_mode & 0o777 == 0o755


def test_a_data_directory_may_be_reached_through_a_link(data: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(data)
    serve(tmp_path / "elsewhere")
    check(tmp_path / "elsewhere")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_directory_of_another_user_is_only_looked_at(data: Path) -> None:
    for file in (data, *data.rglob("*")):
        os.chown(file, 12345, 12345)
    before = tree(data)
    for operation in (serve, repair):
        with pytest.raises(OwnerError, match=r"user 12345.*sudo -u 12345"):
            operation(data)
    check(data)
    assert tree(data) == before


def test_check_writes_nothing_and_goes_on_without_a_lock(data: Path) -> None:
    (data / "lock").unlink()
    before = tree(data)
    check(data)
    assert tree(data) == before


def test_what_comes_after_the_look_is_not_followed_either(data: Path, victim: Path) -> None:
    """Between the look and the opening, somebody who may write in the directory puts a link there."""
    (data / "identity.tmp").symlink_to(victim)
    with pytest.raises(UnsafeFileError, match=r"identity\.tmp is a symbolic link"):
        write_atomic(OsDisk(), str(data), "identity", (b"x",))
    (data / "log/vote").unlink()
    (data / "log/vote").symlink_to(victim)
    inline = Inline()
    with pytest.raises(UnsafeFileError, match=r"log/vote is a symbolic link"):
        RaftLog.open(
            OsDisk(),
            str(data / "log"),
            options=embed_options(),
            sync=inline,
            background=inline,
            random32=lambda: 1,
        )
    shutil.rmtree(data / "log")
    (data / "log").symlink_to(victim.parent)
    disk = OsDisk()
    for use in (
        disk.listdir,
        disk.sync_dir,
        lambda log: disk.unlink(f"{log}/victim"),
        lambda log: disk.open(f"{log}/victim"),
    ):
        with pytest.raises(UnsafeFileError, match="log is a symbolic link"):
            use(str(data / "log"))
    assert victim.read_bytes() == SECRET


def embed_options() -> object:
    from visord.raft.segments import SMALL

    return SMALL


def test_a_new_file_takes_the_place_of_another_name_of_one(tmp_path: Path, victim: Path) -> None:
    os.link(victim, tmp_path / "file")
    file = OsDisk().open(str(tmp_path / "file"), create=True)
    file.pwrite(b"new", 0)
    file.close()
    assert (victim.read_bytes(), (tmp_path / "file").read_bytes()) == (SECRET, b"new")


def test_a_file_that_claims_too_much_is_not_read(tmp_path: Path) -> None:
    to_huge(tmp_path / "file", tmp_path)
    with pytest.raises(UnsafeFileError, match=rf"{HUGE} bytes.*at most 100"):
        read_all(OsDisk(), str(tmp_path / "file"), 100)
