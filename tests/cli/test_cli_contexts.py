"""Named contexts: what the file may hold, which one counts, and who may read a token."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import visor
from tests.cli.cli_harness import Visor
from visor import errors
from visor.cli import contexts
from visor.cli.contexts import Context, Contexts
from visor.cli.problem import Problem


def test_the_file_lies_where_xdg_says(tmp_path: Path) -> None:
    assert contexts.location({"XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "visor" / "config.toml"
    # Not absolute: the specification says to ignore it.
    assert contexts.location({"XDG_CONFIG_HOME": "relative"}).is_absolute()


def test_a_missing_file_holds_nothing(tmp_path: Path) -> None:
    assert contexts.load(tmp_path / "none.toml") == Contexts()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True),
        st.builds(
            Context,
            addr=st.lists(TEXTS, max_size=3).map(tuple),
            root=st.none() | TEXTS,
            cacert=st.none() | TEXTS,
            cert=st.none() | TEXTS,
            key=st.none() | TEXTS,
            token_file=st.none() | TEXTS,
        ),
        max_size=4,
    ),
    st.none() | TEXTS,
)
def test_what_is_saved_is_loaded(named: dict[str, Context], current: str | None) -> None:
    import tomllib

    wrong: list[str] = []
    document = tomllib.loads(contexts.dump(Contexts(current, named)))
    assert contexts._read(document, wrong) == Contexts(current, named)
    assert not wrong


def test_saving_replaces_the_file_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "visor" / "config.toml"
    contexts.save(Contexts("a", {"a": Context(("h:1",))}), file)
    contexts.save(Contexts("b", {"b": Context(("h:2",))}), file)
    assert contexts.load(file).current == "b"
    assert [each.name for each in file.parent.iterdir()] == ["config.toml"]


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('curent = "a"\n[contexts.a]\nadr = "x"\nroot = 7\naddr = [1]\n')
    with pytest.raises(Problem) as caught:
        contexts.load(file)
    for wrong in ("'curent'", "contexts.a.adr", "contexts.a.root must be text", "contexts.a.addr must be"):
        assert wrong in str(caught.value)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("= 3")
    with pytest.raises(Problem, match="is not TOML"):
        contexts.load(file)


def test_names_are_checked() -> None:
    for name in ("", "a b", "-x", "x" * 65, "a/b"):
        with pytest.raises(Problem, match="cannot name a context"):
            Contexts().with_context(name, Context())


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_token_is_read(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text(" vis_1_secret\n")
    file.chmod(mode)
    assert contexts.read_token(str(file)) == "vis_1_secret"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o700])
def test_a_token_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text("secret")
    file.chmod(mode)
    with pytest.raises(Problem, match=f"has mode {mode:04o}.*chmod 600") as caught:
        contexts.read_token(str(file))
    assert "secret" not in str(caught.value)


def test_what_is_no_token_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for content, complaint in ((b"", "empty"), (b"\xff", "not text"), (b"x" * 20_000, "over 16 KiB")):
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(Problem, match=complaint):
            contexts.read_token(str(file))
    with pytest.raises(Problem, match="not a plain file"):
        contexts.read_token(str(tmp_path))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    with pytest.raises(Problem, match="not a plain file"):
        contexts.read_token(str(fifo))


# -- which one counts ---------------------------------------------------------------------------------
@pytest.fixture
def asked(bare: Visor, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Run `visor rev` with these arguments and return what `visor.dial` got."""
    bare.ok("context", "add", "production", "--addr", "prod:1", "--root", "/shop")
    bare.ok("context", "add", "staging", "--addr", "stag:1,stag:2")

    def run(*arguments: str, **environment: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def dial(addr: Any, root: Any, **rest: Any) -> Any:
            found.update(rest, addr=addr, root=root)
            raise errors.Unavailable("stop here")

        with monkeypatch.context() as patch:
            patch.setattr(visor, "dial", dial)
            answer = bare("rev", *arguments, **environment)
        assert answer.code == 6, answer
        return found

    return run


PROD = (("prod:1",), "/shop")
STAGING = (("stag:1", "stag:2"), None)


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ((), {}, PROD),  # the first one added is the current one
        (("--context", "staging"), {}, STAGING),
        ((), {"VISOR_CONTEXT": "staging"}, STAGING),
        (("--context", "production"), {"VISOR_CONTEXT": "staging"}, PROD),
        (("--addr", "a:1"), {}, ("a:1", None)),
        ((), {"VISOR_ADDR": "e:1"}, ("e:1", None)),
        (("--addr", "a:1"), {"VISOR_CONTEXT": "production", "VISOR_ROOT": "/r"}, ("a:1", "/r")),
        (("--context", "production"), {"VISOR_ADDR": "e:1", "VISOR_ROOT": "/r"}, PROD),
        ((), {"VISOR_CONTEXT": "production", "VISOR_ADDR": "e:1"}, ("e:1", "/shop")),
        (("--root", "/x"), {}, (("prod:1",), "/x")),
        (("--context", "staging", "--addr", "a:1"), {}, ("a:1", None)),
    ],
)
def test_flags_before_environment_before_contexts(
    asked: Callable[..., dict[str, Any]],
    arguments: tuple[str, ...],
    environment: dict[str, str],
    expected: Any,
) -> None:
    found = asked(*arguments, **environment)
    assert (found["addr"], found["root"]) == expected


def test_a_token_travels_only_with_its_context(
    asked: Callable[..., dict[str, Any]], bare: Visor, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    file.chmod(0o600)
    bare.ok("context", "add", "t", "--addr", "t:1", "--token-file", str(file), "--use")
    assert asked()["token"] == "secret"
    assert asked("--addr", "elsewhere:1")["token"] is None
    assert asked(VISOR_ADDR="elsewhere:1")["token"] is None
    assert asked("--addr", "a:1", VISOR_TOKEN="env")["token"] == "env"
    assert asked("--addr", "a:1", VISOR_TOKEN_FILE=str(file))["token"] == "secret"
    file.chmod(0o644)
    refused = bare("rev")
    assert refused.code == 2
    assert "mode 0644" in refused.err
    assert bare("context", "add", "u", "--addr", "t:1", "--token-file", str(file)).code == 2


def test_tls_is_never_silently_left_out(bare: Visor) -> None:
    bare.ok("context", "add", "tls", "--addr", "h:1", "--cacert", "/none/ca.pem")
    for answer, file in (
        (bare("rev"), "/none/ca.pem"),
        (bare("rev", "--addr", "h:1", VISOR_CERT="/none/c.pem"), "/none/c.pem"),
        (bare("rev", "--addr", "h:1", VISOR_KEY="/none/c.key"), "a key is of no use without its certificate"),
    ):
        assert answer.code == 2
        assert file in answer.err


def test_tls_of_contexts_and_environment_reaches_the_client(
    bare: Visor, asked: Callable[..., dict[str, Any]]
) -> None:
    bare.ok(
        "context",
        "add",
        "a",
        "--addr",
        "h:1",
        "--cacert",
        "/ca.pem",
        "--cert",
        "/c.pem",
        "--key",
        "/c.key",
        "--use",
    )
    assert asked()["tls"] == visor.TLS("/ca.pem", "/c.pem", "/c.key")
    assert asked(VISOR_CACERT="/other.pem")["tls"] == visor.TLS("/ca.pem", "/c.pem", "/c.key")
    assert asked("--addr", "g:1")["tls"] is None
    assert asked("--addr", "g:1", VISOR_CACERT="/other.pem")["tls"] == visor.TLS("/other.pem")
    bare.ok(
        "context",
        "add",
        "b",
        "--addr",
        "h:1",
        "--cacert",
        "system",
        "--server-name",
        "registry.example",
        "--use",
    )
    assert asked()["tls"] == visor.TLS(server_name="registry.example")
    assert b"registry.example" in bare.ok("context", "show").out


def test_timeouts_and_actors_reach_the_client(asked: Callable[..., dict[str, Any]]) -> None:
    assert asked()["timeout"] == 5.0
    assert asked("--timeout", "1m")["timeout"] == 60.0
    assert asked(VISOR_TIMEOUT="250ms")["timeout"] == 0.25
    assert asked(VISOR_ACTOR="ann")["actor"] == "ann"


def test_the_commands_for_contexts(bare: Visor) -> None:
    assert bare.ok("context", "ls").out == b""
    assert bare("context", "show").code == 2
    assert bare("context", "add", "a").code == 2
    assert bare("context", "add", "a b", "--addr", "h").code == 2
    assert bare("context", "add", "a", "--addr", "h:port").code == 2
    assert bare("context", "add", "a", "--addr", "h", "--cert", "c").code == 2
    bare.ok("context", "add", "a", "--addr", "h,[::1]:9", "--root", "/r")
    assert bare("context", "add", "a", "--addr", "h").code == 4
    bare.ok("context", "add", "b", "--addr", "unix:/run/v.sock")
    assert bare.ok("context", "ls").text == "*\ta\th:8046,[::1]:9\t/r\n-\tb\tunix:/run/v.sock\t/\n"
    assert bare.json("context", "use", "b") == {"current": "b", "name": "b"}
    assert bare.json("context", "ls")["current"] == "b"
    assert bare.json("context", "show")["addr"] == ["unix:/run/v.sock"]
    assert bare("context", "use", "none").code == 2
    assert "there is no context 'none' (a, b)" in bare("rev", "--context", "none").err
    bare.ok("context", "rm", "b")
    assert bare.json("context", "ls")["current"] is None
    bare.ok("context", "add", "a", "--addr", "new", "--force")
    assert bare.json("context", "show", "a")["addr"] == ["new:8046"]


def test_a_configuration_that_cannot_be_written_is_told(bare: Visor, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("in the way")
    answer = bare("context", "add", "a", "--addr", "h")
    assert answer.code == 2
    assert "cannot" in answer.err


@pytest.mark.parametrize("what", ["a pipe", "zeros", "a directory", "huge"])
def test_a_configuration_that_is_no_file_holds_nobody(bare: Visor, tmp_path: Path, what: str) -> None:
    file = tmp_path / "config" / "visor" / "config.toml"
    file.parent.mkdir(parents=True)
    if what == "a pipe":
        os.mkfifo(file)
    elif what == "zeros":
        file.symlink_to("/dev/zero")
    elif what == "a directory":
        file.mkdir()
    else:
        file.touch()
        os.truncate(file, 1 << 40)
    answer = bare("context", "ls")
    assert answer.code == 2 and str(file) in answer.err
