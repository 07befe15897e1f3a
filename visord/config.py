"""Where settings come from: flag over environment over file over default; every wrong key named at once.

    [listen]                  VISORD_LISTEN__CLIENT=...        --listen ...
    client = "0.0.0.0:8046"

An environment variable that starts with VISORD_ and is no setting is an error: a typo in production is
worse than a refusal. `VISORD_CONFIG` names the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from visord.meanings import similar
from visord.settings import Section, Settings

PREFIX = "VISORD_"
FILE_VARIABLE = "VISORD_CONFIG"

Flat = dict[str, Any]
"""Dotted key to value: `{"listen.client": "127.0.0.1:0"}`."""


class ConfigError(Exception):
    """The settings are wrong. `problems` has one line for each wrong key, with its source."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    file: Path | None = None,
) -> tuple[Settings, dict[str, str]]:
    """Return the settings and, for each dotted key that was set, where its value came from.

    `flags`: dotted key to value, None meaning "not given". `file` overrides VISORD_CONFIG.
    Raises `ConfigError` naming every wrong key, its source, and what was expected.
    """
    problems: list[str] = []
    named = file or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    layers = [
        (_from_file(named, problems), str(named)),
        (_from_environment(environment, problems), "environment"),
        ({key: value for key, value in flags.items() if value is not None}, "flag"),
    ]
    values: Flat = {}
    sources: dict[str, str] = {}
    for layer, source in layers:
        for key, value in layer.items():
            values[key] = value
            sources[key] = source
    settings = _validate(values, sources, problems)
    if problems or settings is None:
        raise ConfigError(problems)
    return settings, sources


def keys(model: type[Section] = Settings, prefix: str = "") -> list[str]:
    """All dotted keys, in the order of the classes."""
    found: list[str] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            found.extend(keys(kind, f"{prefix}{name}."))
        else:
            found.append(prefix + name)
    return found


def effective(settings: Settings) -> Flat:
    """Every dotted key with its value."""
    flat: Flat = {}
    for key in keys():
        value: Any = settings
        for part in key.split("."):
            value = getattr(value, part)
        flat[key] = value
    return flat


def _from_file(path: Path | None, problems: list[str]) -> Flat:
    if path is None:
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path}: not TOML: {error}")
        return {}
    return _flatten(document, "")


def _flatten(document: Mapping[str, Any], prefix: str) -> Flat:
    flat: Flat = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _from_environment(environment: Mapping[str, str], problems: list[str]) -> Flat:
    flat: Flat = {}
    known = set(keys())
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name == FILE_VARIABLE:
            continue
        key = name.removeprefix(PREFIX).lower().replace("__", ".")
        if key in known:
            flat[key] = value
        else:
            variables = [PREFIX + one.upper().replace(".", "__") for one in (*known, "config")]
            hint = _meant(name, variables)
            problems.append(f"{name}: no such setting{hint} (environment; names are VISORD_<SECTION>__<KEY>)")
    return flat


def _validate(values: Flat, sources: Mapping[str, str], problems: list[str]) -> Settings | None:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        place = tree
        for section in sections:
            inner = place.setdefault(section, {})
            if not isinstance(inner, dict):
                problems.append(f"{key}: {section!r} is a value in {sources.get(section)}, not a section")
                return None
            place = inner
        place[name] = value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        problems.extend(_problem(one, sources) for one in error.errors())
        return None


def _meant(name: str, names: Iterable[str]) -> str:
    found = similar(name, names)
    return f"; did you mean {found}?" if found else ""


def _problem(one: Any, sources: Mapping[str, str]) -> str:
    key = ".".join(str(part) for part in one["loc"])
    source = sources.get(key) or next((s for k, s in sources.items() if k.startswith(key + ".")), "settings")
    if one["type"] == "extra_forbidden":
        sections = list(Settings.model_fields)
        return f"{key}: no such setting{_meant(key, [*keys(), *sections])} ({source})"
    return f"{key}: {one['msg']}, got {one['input']!r:.80} ({source})"
