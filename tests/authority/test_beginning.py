"""`visord init`, `join` and `dev` as they are typed: what is printed, what is refused, and with which exit code."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from visor.protocol import tokens
from visord import cli
from visord.exits import EXIT_CONFIG, EXIT_REFUSED


def visord(*words: str) -> Result:
    return CliRunner().invoke(cli.main, list(words))


def test_the_token_is_printed_once_or_put_into_a_file_that_nobody_else_can_read(tmp_path: Path) -> None:
    printed = visord("init", "--data-dir", str(tmp_path / "n1"))
    assert printed.exit_code == 0
    (token,) = [line for line in printed.output.splitlines() if tokens.read(line)]
    assert printed.output.count(token) == 1
    file = tmp_path / "root.token"
    quiet = visord("init", "--data-dir", str(tmp_path / "n2"), "--token-file", str(file))
    assert quiet.exit_code == 0
    assert tokens.read(file.read_text().strip()) is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() not in quiet.output
    assert re.search(
        r"visor login 127\.0\.0\.1:8046 --token-file .* --ca-digest sha256:[0-9a-f]{64}", quiet.output
    )


def test_a_token_file_that_is_there_is_left_alone_and_nothing_is_founded(tmp_path: Path) -> None:
    (tmp_path / "root.token").write_text("mine")
    refused = visord("init", "--data-dir", str(tmp_path / "n1"), "--token-file", str(tmp_path / "root.token"))
    assert refused.exit_code == EXIT_CONFIG
    assert "is there already" in refused.output
    assert (tmp_path / "root.token").read_text() == "mine"
    assert not (tmp_path / "n1").exists()


def test_a_founding_that_fails_leaves_no_token_file(tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1" / "note").touch()
    refused = visord("init", "--data-dir", str(tmp_path / "n1"), "--token-file", str(tmp_path / "root.token"))
    assert refused.exit_code == EXIT_CONFIG
    assert "is not empty, it holds note" in refused.output
    assert not (tmp_path / "root.token").exists()


def test_dev_listens_where_nobody_else_comes_from(tmp_path: Path) -> None:
    for address in ("0.0.0.0:0", "10.0.0.1:8046", "[::]:0"):
        refused = visord("dev", "--listen", address, "--data-dir", str(tmp_path / "data"))
        assert refused.exit_code == EXIT_CONFIG, address
        assert "loopback only" in refused.output
    assert not (tmp_path / "data").exists()


def test_join_says_whether_it_may_pass(tmp_path: Path) -> None:
    file = tmp_path / "n2.join"
    file.touch(mode=0o600)
    file.write_text(tokens.write_join(b"a" * 32, b"number", b"s" * 32))
    rest = ("--token-file", str(file), "--data-dir", str(tmp_path / "n2"))
    away = visord("join", "127.0.0.1:1", *rest)
    assert (away.exit_code, "127.0.0.1:1 cannot be asked" in away.output) == (EXIT_REFUSED, True)
    for words, told in ((("127.0.0.1",), "HOST:PORT"), (("127.0.0.1:0",), "others must be able to dial it")):
        wrong = visord("join", *words, *rest)
        assert (wrong.exit_code, told in wrong.output) == (EXIT_CONFIG, True), wrong.output
    file.write_text("visj_nonsense")
    wrong = visord("join", "127.0.0.1:1", *rest)
    assert (wrong.exit_code, "no token to join" in wrong.output) == (EXIT_CONFIG, True)
    assert not (tmp_path / "n2").exists()


def test_serve_reads_what_init_has_written_unless_it_is_told_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "n1"
    visord("init", "--data-dir", str(data), "--listen", "127.0.0.1:9046", "--name", "n7")
    ran: list[tuple[str, str, Path]] = []
    monkeypatch.setattr(
        cli,
        "_run",
        lambda settings, path, start: ran.append((settings.node.name, settings.listen.client, path)),
    )
    assert visord("serve", "--data-dir", str(data)).exit_code == 0
    assert visord("serve", "--config", str(data / "visord.toml")).exit_code == 0
    (tmp_path / "other.toml").write_text('[node]\nname = "n8"\n')
    assert visord("serve", "--data-dir", str(data), "--config", str(tmp_path / "other.toml")).exit_code == 0
    monkeypatch.setenv("VISORD_CONFIG", str(tmp_path / "other.toml"))
    assert visord("serve", "--data-dir", str(data)).exit_code == 0
    known, other = ("n7", "127.0.0.1:9046", data), ("n8", "127.0.0.1:8046", data)
    assert ran == [known, known, other, other]
