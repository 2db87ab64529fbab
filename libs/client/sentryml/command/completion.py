"""`sentryml completion bash`: a script for the shell, which asks the command itself what can come next.

What follows is read from the parser, so that nothing has to be kept in step. Where a file or any other text may come,
nothing is offered, and the shell offers files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from sentryml.command.terminal import OK, Terminal

ASK = "__complete"
"""`sentryml __complete WORD…` writes what the last word may become."""
SCRIPTS = {
    "bash": """\
_sentryml() {
    local IFS=$'\\n'
    COMPREPLY=($(sentryml __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _sentryml sentryml
""",
    "zsh": """\
_sentryml() {
    local -a found
    found=(${(f)"$(sentryml __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then compadd -- $found; else _files; fi
}
compdef _sentryml sentryml
""",
    "fish": """\
function __sentryml
    set -l found (sentryml __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)
    if set -q found[1]
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c sentryml -f -a '(__sentryml)'
""",
}


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Write the script."""
    terminal.say(SCRIPTS[arguments.shell].rstrip())
    return OK


def candidates(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """What the last of the words may become."""
    *before, current = words or [""]
    pending: argparse.Action | None = None
    for word in before:
        commands = _commands(parser)
        if pending is not None:
            pending = None
        elif word.startswith("-"):
            pending = _taking_a_value(parser, word)
        elif word in commands:
            parser = commands[word]
    if pending is not None:
        return _beginning(current, map(str, pending.choices or ()))
    if current.startswith("-"):
        return _beginning(current, (name for action in parser._actions for name in action.option_strings))
    positional = (action for action in parser._actions if not action.option_strings)
    return _beginning(current, (str(choice) for action in positional for choice in action.choices or ()))


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {name: command for action in found for name, command in action.choices.items()}


def _taking_a_value(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    """The option, where the next word is its value."""
    found = (action for action in parser._actions if word in action.option_strings)
    return next((action for action in found if action.nargs != 0), None)


def _beginning(current: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(current)]
