"""Settings: precedence, sources, and every wrong key named at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from visord import config
from visord.cli import main
from visord.exits import EXIT_CONFIG
from visord.meanings import meaning


def write(folder: Path, text: str) -> Path:
    file = folder / "visord.toml"
    file.write_text(text)
    return file


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(tmp_path: Path) -> None:
    file = write(tmp_path, '[listen]\nclient = "127.0.0.1:1"\nin_flight = 11\nwatches = 21\n')
    environment = {"VISORD_LISTEN__CLIENT": "127.0.0.1:2", "VISORD_LISTEN__IN_FLIGHT": "12", "HOME": "/"}
    settings, sources = config.load({"listen.client": "127.0.0.1:3"}, environment, file)
    assert settings.listen.client == "127.0.0.1:3"
    assert settings.listen.in_flight == 12
    assert settings.listen.watches == 21
    assert settings.listen.connections == 10_000
    assert sources == {
        "listen.client": "flag",
        "listen.in_flight": "environment",
        "listen.watches": str(file),
    }


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "[listen]\nwatches = 5\n")
    settings, _ = config.load({}, {"VISORD_CONFIG": str(file)})
    assert settings.listen.watches == 5


def test_every_wrong_key_is_named_at_once_with_its_source(tmp_path: Path) -> None:
    file = write(tmp_path, '[listen]\nwatchs = 5\nin_flight = "many"\n[nod]\nname = "x"\n')
    environment = {"VISORD_LISTEN__CONNECTION": "5", "VISORD_LOG__LEVEL": "loud"}
    with pytest.raises(config.ConfigError) as caught:
        config.load({"node.name": "no spaces"}, environment, file)
    text = str(caught.value)
    assert "listen.watchs: no such setting" in text
    assert "listen.in_flight" in text
    assert "'many'" in text
    assert "nod" in text
    assert "VISORD_LISTEN__CONNECTION: no such setting" in text
    assert "log.level" in text
    assert "(environment)" in text
    assert "node.name" in text
    assert "(flag)" in text
    assert len(caught.value.problems) == 6


def test_an_unreadable_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match="cannot be read"):
        config.load({}, {}, tmp_path / "none.toml")
    with pytest.raises(config.ConfigError, match="not TOML"):
        config.load({}, {}, write(tmp_path, "listen = [\n"))


def test_a_value_where_a_section_is_expected_is_named(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match="listen"):
        config.load({"listen.client": "127.0.0.1:1"}, {}, write(tmp_path, "listen = 5\n"))


def test_config_check_exits_78_and_show_names_sources(tmp_path: Path) -> None:
    runner = CliRunner()
    wrong = write(tmp_path, "[listen]\nwatchs = 5\n")
    result = runner.invoke(main, ["config", "check", "--config", str(wrong)])
    assert result.exit_code == EXIT_CONFIG
    assert "listen.watchs: no such setting" in result.output
    right = write(tmp_path, "[listen]\nwatches = 5\n")
    shown = runner.invoke(main, ["config", "show", "--config", str(right)])
    assert shown.exit_code == 0
    assert f"listen.watches = 5  # {right}" in shown.output
    assert "listen.connections = 10000  # default" in shown.output


@pytest.mark.parametrize(
    "written,meant",
    [
        ("node.nmae", "node.name"),
        ("listen.client_adress", "listen.client"),
        ("listen.watchs", "listen.watches"),
        ("storage.checkpoint_second", "storage.checkpoint_seconds"),
        ("lsiten", "listen"),
        ("nothing", None),
    ],
)
def test_a_mistyped_setting_is_told_with_the_one_that_is_meant(written: str, meant: str | None) -> None:
    with pytest.raises(config.ConfigError) as caught:
        config.load({written: "1"}, {})
    hint = f"; did you mean {meant}?" if meant else ""
    assert f"{written}: no such setting{hint} (flag)" in caught.value.problems


def test_a_mistyped_variable_is_told_with_the_one_that_is_meant() -> None:
    with pytest.raises(config.ConfigError, match=r"did you mean VISORD_NODE__NAME\?"):
        config.load({}, {"VISORD_NODE__NMAE": "n1"})
    with pytest.raises(config.ConfigError, match=r"did you mean VISORD_CONFIG\?"):
        config.load({}, {"VISORD_CONFGI": "/etc/visord.toml"})


@pytest.mark.parametrize("key", config.keys())
def test_each_setting_says_what_it_means(key: str) -> None:
    found = meaning(key)
    assert len(found.text) >= 10, "a docstring below the field"
    assert found.text.endswith(".")
    assert "\n" not in found.line


def test_units_and_bounds_are_told() -> None:
    assert meaning("listen.waiting").bounds == "1024 to 1048576"
    assert meaning("listen.idle_seconds")[1:] == ("seconds", "at least 0")
    assert meaning("storage.checkpoint_seconds")[1:] == ("seconds", "above 0")
    assert meaning("storage.state_bytes")[1:] == ("bytes", f"at least {1 << 20}")
    assert meaning("log.level").bounds == "one of debug, info, warning, error"
    assert meaning("listen.insecure").bounds == "true or false"
    assert meaning("node.name").bounds == "1 to 64 characters"


def test_show_prints_a_meaning_before_each_setting() -> None:
    shown = CliRunner().invoke(main, ["config", "show"], env={"VISORD_LISTEN__WATCHES": "7"})
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert len(lines) == 2 * len(config.keys())
    assert all(line.startswith("# ") for line in lines[::2])
    at = lines.index("listen.watches = 7  # environment")
    assert lines[at - 1] == "# Watches of one connection. [0 to 1000000]"
