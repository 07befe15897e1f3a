"""`visor login`: nothing is said before the authority is known, nothing is kept before the registry has answered."""

from __future__ import annotations

import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import visor as client_library
from tests.cli.cli_harness import UNAVAILABLE, Node, Visor
from tests.patience import PATIENCE
from visor._drivers import pinned
from visor.testing.authority import Authority
from visord import embed


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "visor test")


@pytest.fixture(scope="module")
def registry(authority: Authority) -> Iterator[embed.Embedded]:
    """A registry that shows its authority's certificate behind its own, and has a user ada."""
    cert, key = authority.issue("node", hosts=("127.0.0.1",))
    whole = authority.folder / "whole.pem"
    whole.write_bytes(cert.read_bytes() + authority.certificate.read_bytes())
    with embed.start(settings={"tls_cert": whole, "tls_key": key}) as running:
        with client_library.dial(
            running.address, tls=client_library.TLS(str(authority.certificate))
        ) as client:
            client.auth.set_user("ada", ["root"])
        yield running


@pytest.fixture
def token(registry: embed.Embedded, authority: Authority, tmp_path: Path) -> Path:
    """A token of ada's, in a file."""
    with client_library.dial(registry.address, tls=client_library.TLS(str(authority.certificate))) as client:
        made = client.auth.add_token("ada")
    file = tmp_path / "ada.token"
    file.touch(0o600)
    file.write_text(f"{made}\n")
    return file


def digest(authority: Authority) -> str:
    import ssl

    return pinned.digest(ssl.PEM_cert_to_DER_cert(authority.certificate.read_text()))


def kept(visor: Visor) -> list[str]:
    """Return the names of the files that the configuration holds."""
    folder = Path(visor.environment["XDG_CONFIG_HOME"]) / "visor"
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def test_a_digest_and_a_token_make_a_context(
    bare: Visor, registry: embed.Embedded, authority: Authority, token: Path
) -> None:
    told = bare.json("login", registry.address, "--token-file", token, "--ca-digest", digest(authority))
    assert (told["context"], told["user"], told["ca_digest"]) == ("127.0.0.1", "ada", digest(authority))
    assert bare.ok("context", "show").text.count("127.0.0.1.ca.pem") == 1
    token.unlink()  # what was kept is a copy
    assert bare.json("whoami")["user"] == "ada"
    assert kept(bare) == ["127.0.0.1.ca.pem", "127.0.0.1.token", "config.toml"]
    for name in kept(bare):
        mode = (Path(bare.environment["XDG_CONFIG_HOME"]) / "visor" / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600, name


def test_another_digest_is_refused_and_nothing_is_kept(
    bare: Visor, registry: embed.Embedded, token: Path
) -> None:
    answer = bare("login", registry.address, "--token-file", token, "--ca-digest", f"sha256:{'0' * 64}")
    assert answer.code == 5
    assert "it is another registry, or somebody is between" in answer.err
    assert kept(bare) == []


def test_a_digest_that_is_none_is_told(bare: Visor, registry: embed.Embedded) -> None:
    answer = bare("login", registry.address, "--ca-digest", "md5:12")
    assert (answer.code, "64 hexadecimal digits" in answer.err) == (2, True)


def test_nobody_is_trusted_unasked(
    bare: Visor, registry: embed.Embedded, authority: Authority, token: Path
) -> None:
    answer = bare("login", registry.address, "--token-file", token)
    assert answer.code == 2
    assert digest(authority) in answer.err
    assert kept(bare) == []


def test_a_person_may_compare_the_digest(
    bare: Visor, registry: embed.Embedded, authority: Authority, token: Path
) -> None:
    words = ("login", registry.address, "--token-file", token, "--name", "mine")
    refused = bare(*words, stdin=b"n\n", terminal="ie")
    assert (refused.code, kept(bare)) == (1, [])
    answer = bare(*words, stdin=b"y\n", terminal="ie")
    assert (answer.code, answer.text) == (0, "mine\n")
    assert digest(authority) in answer.err


def test_a_token_of_nobody_leaves_nothing(
    bare: Visor, registry: embed.Embedded, authority: Authority, token: Path
) -> None:
    from visor.protocol import tokens

    token.write_text(tokens.write(bytes(tokens.NUMBER), bytes(tokens.SECRET)))
    answer = bare("login", registry.address, "--token-file", token, "--ca-digest", digest(authority))
    assert (answer.code, kept(bare)) == (5, [])


def test_who_shows_the_authority_s_certificate_behind_one_of_its_own_is_told_nothing(
    bare: Visor, authority: Authority, token: Path, tmp_path: Path
) -> None:
    """The digest fits, as anybody may show the certificate: what counts is that it has made the node's."""
    other = Authority(tmp_path, "somebody in between")
    cert, key = other.issue("node", hosts=("127.0.0.1",))
    whole = tmp_path / "whole.pem"
    whole.write_bytes(cert.read_bytes() + authority.certificate.read_bytes())
    came: list[object] = []
    with embed.start(settings={"tls_cert": whole, "tls_key": key}) as between:
        words = ("login", between.address, "--token-file", token, "--ca-digest", digest(authority))
        answer = bare("--timeout", "1", *words)
        with client_library.dial(between.address, tls=client_library.TLS(str(other.certificate))) as client:
            came += client.auth.tokens()
    assert "the node's certificate was not made by an authority that is trusted here" in answer.err
    assert answer.code and kept(bare) == [] and came == []


def test_a_login_that_fails_changes_nothing_of_the_context_of_before(
    bare: Visor, registry: embed.Embedded, authority: Authority, token: Path
) -> None:
    words = ("login", registry.address, "--token-file", token, "--ca-digest", digest(authority))
    bare.ok(*words)
    pinned_before = Path(bare.environment["XDG_CONFIG_HOME"]) / "visor" / "127.0.0.1.ca.pem"
    pinned_before.write_text("what verified another cluster")
    from visor.protocol import tokens

    token.write_text(tokens.write(bytes(tokens.NUMBER), bytes(tokens.SECRET)))
    assert bare(*words).code == 5
    assert pinned_before.read_text() == "what verified another cluster"
    assert kept(bare) == ["127.0.0.1.ca.pem", "127.0.0.1.token", "config.toml"]


def test_a_token_that_cannot_be_kept_is_left_nowhere(
    bare: Visor, registry: embed.Embedded, authority: Authority, token: Path
) -> None:
    folder = Path(bare.environment["XDG_CONFIG_HOME"]) / "visor"
    (folder / "127.0.0.1.token").mkdir(parents=True)
    answer = bare("login", registry.address, "--token-file", token, "--ca-digest", digest(authority))
    assert (answer.code, "127.0.0.1.token" in answer.err) == (2, True)
    assert not [name for name in kept(bare) if name.startswith(".login")]


def test_a_file_of_the_authority_does_as_well(
    bare: Visor, registry: embed.Embedded, authority: Authority, token: Path
) -> None:
    bare.ok("login", registry.address, "--token-file", token, "--cacert", authority.certificate)
    assert bare.json("whoami")["user"] == "ada"


def test_a_registry_of_this_machine_needs_no_tls(bare: Visor, node: Node) -> None:
    assert bare.json("login", node.address, "--name", "dev")["ca_digest"] is None
    assert bare.json("context", "show")["cacert"] is None


def test_whoever_listens_hears_no_token(bare: Visor, token: Path) -> None:
    """A port that speaks no TLS, and one that hangs up, are told nothing that could be used."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        def listen() -> None:
            line, _ = listener.accept()
            with line:
                line.settimeout(PATIENCE)
                heard.append(line.recv(4096))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        answer = bare("login", address, "--token-file", token, "--ca-digest", f"sha256:{'0' * 64}")
        thread.join(PATIENCE)
    assert answer.code == UNAVAILABLE
    assert token.read_text().strip().encode() not in b"".join(heard)
    assert kept(bare) == []
