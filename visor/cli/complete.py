"""Shell completion: commands, options, and paths from the live registry.

The shell's function runs `visor` with the line up to the cursor:

    _VISOR_COMPLETE=bash _VISOR_LINE='visor get /serv' visor

and gets one candidate a line, `KIND<tab>VALUE`. Kinds: `word` (a space follows), `part` (a directory: no
space, more follows), `file` and `dir` (the shell completes its own files). Whatever goes wrong,
nothing is printed: a completion must never disturb a command line.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, ClassVar

import click
from click.shell_completion import CompletionItem, ShellComplete

from visor.cli import exits
from visor.cli.settings import Settings

PATIENCE = 1.0
"""Seconds that the registry may take for each step of a completion."""
MOST = 200
"""Candidates of one completion."""
LINE_VARIABLE = "_VISOR_LINE"
_END = "\0"
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:=,@+%~")

BASH = """\
_visor_complete() {
    local kind value
    COMPREPLY=()
    while IFS=$'\\t' read -r kind value; do
        case $kind in
            word) COMPREPLY+=("$value ") ;;
            part) COMPREPLY+=("$value") ;;
            file) compopt -o default +o nospace ;;
            dir) compopt -o dirnames +o nospace ;;
        esac
    done < <(_VISOR_COMPLETE=bash _VISOR_LINE="${COMP_LINE:0:COMP_POINT}" \\
        _VISOR_BREAKS="$COMP_WORDBREAKS" "$1" 2>/dev/null)
}
complete -o nospace -F _visor_complete visor
"""

ZSH = """\
#compdef visor
_visor() {
    local kind value
    local -a whole part
    while IFS=$'\\t' read -r kind value; do
        case $kind in
            word) whole+=("$value") ;;
            part) part+=("$value") ;;
            file) _files ;;
            dir) _files -/ ;;
        esac
    done < <(_VISOR_COMPLETE=zsh _VISOR_LINE="${(j: :)words[1,CURRENT-1]} $PREFIX" "${words[1]}" 2>/dev/null)
    (( $#whole )) && compadd -- "${whole[@]}"
    (( $#part )) && compadd -S '' -- "${part[@]}"
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _visor "$@"
else
    compdef _visor visor
fi
"""

FISH = """\
function __visor_complete
    set -l line (commandline -cp)
    for row in (env _VISOR_COMPLETE=fish _VISOR_LINE="$line" visor 2>/dev/null)
        set -l pair (string split -m 1 \\t -- $row)
        switch $pair[1]
            case word part
                echo $pair[2]
            case file
                __fish_complete_path (commandline -ct)
            case dir
                __fish_complete_directories (commandline -ct)
        end
    end
end
complete -c visor -f -a '(__visor_complete)'
"""

SCRIPTS: Mapping[str, str] = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def script(shell: str) -> str:
    """Return the completion script of `bash`, `zsh` or `fish`."""
    return SCRIPTS[shell]


# -- the answer to the shell --------------------------------------------------------------------------
def answer(app: click.Command, shell: str, settings: Settings) -> int:
    """Write the candidates for the line that the shell's function handed over; return the exit code."""
    if shell not in SCRIPTS:
        return exits.FAILED
    line = settings.environment.get(LINE_VARIABLE, "")
    try:
        arguments, incomplete = split(line)
        items = _Completer(app, {"obj": settings}, "visor", "_VISOR_COMPLETE").get_completions(
            arguments, incomplete
        )
        rows = [_row(item, shell, line, incomplete, settings) for item in items[:MOST]]
    except Exception:  # a broken line, no registry, a broken configuration: no candidates
        return exits.DONE
    settings.streams.stdout.write("".join(rows).encode("utf-8", "replace"))
    return exits.DONE


class _Completer(ShellComplete):
    """click's completion, fed with arguments that were split here."""

    name: ClassVar[str] = "visor"
    source_template: ClassVar[str] = ""


def split(line: str) -> tuple[list[str], str]:
    """Split a command line up to the cursor into the arguments that are complete and the one that is not.

    >>> split("visor --root /a get '/b c"), split("visor get ")
    ((['--root', '/a', 'get'], '/b c'), (['get'], ''))
    """
    # A mark at the cursor: it ends up in the last word, whatever is quoted or escaped there.
    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + _END + closing)
        except ValueError:
            continue
        return words[1:-1], words[-1].replace(_END, "")
    return [], ""


def _row(item: CompletionItem[Any], shell: str, line: str, incomplete: str, settings: Settings) -> str:
    kind = {"plain": "word", "part": "part", "file": "file", "dir": "dir"}.get(item.type, "word")
    value = str(item.value)
    if shell == "bash" and kind in ("word", "part"):
        value = _for_bash(value, line, incomplete, settings.environment.get("_VISOR_BREAKS", ""))
    return f"{kind}\t{value}\n"


def _for_bash(value: str, line: str, incomplete: str, breaks: str) -> str:
    """Return what bash has to insert.

    It replaces only what follows the last word break (such as `:` and `=`) of the word, and inserts it as
    if it was typed, so that outside quotes special characters need a backslash.

        visor get /a:b/c<TAB>     candidate /a:b/cd   ->  b/cd
    """
    if _inside_quotes(line):
        return value
    cut = max((incomplete.rfind(each) for each in breaks if each in ":="), default=-1) + 1
    if value.startswith(incomplete[:cut]):
        value = value[cut:]
    return "".join(c if c in _SAFE or ord(c) > 127 else f"\\{c}" for c in value)


def _inside_quotes(line: str) -> bool:
    try:
        shlex.split(line)
    except ValueError:
        return not line.endswith("\\")
    return False


# -- candidates ---------------------------------------------------------------------------------------
def paths(
    context: click.Context, incomplete: str, *, directories_only: bool = False
) -> list[CompletionItem[str]]:
    """Return the entries of the registry that begin with `incomplete`; directories end with a slash."""
    settings = context.find_object(Settings)
    if settings is None or (incomplete and not incomplete.startswith("/")):
        return []
    if "*" in incomplete or "?" in incomplete:
        return []
    from visor import paths as grammar
    from visor.cli.connect import connect
    from visor.values import Node

    settings.flags["timeout"] = f"{PATIENCE}s"
    directory, _, begun = incomplete.rpartition("/")
    with connect(settings) as client:
        entries = client.ls(directory or grammar.ROOT, stale=True)
    items = []
    for entry in entries:
        if entry.name.startswith(begun):
            if entry.kind is Node.DIRECTORY:
                items.append(CompletionItem(f"{entry.path}/", type="part"))
            elif not directories_only:
                items.append(CompletionItem(entry.path))
    return items


def context_names(context: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Return the names of the contexts that begin with `incomplete`."""
    settings = context.find_object(Settings)
    if settings is None:
        return []
    from visor.cli import contexts

    known = contexts.load(contexts.location(settings.environment))
    return [CompletionItem(name) for name in sorted(known.named) if name.startswith(incomplete)]
