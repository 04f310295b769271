"""`steering completion`: prints a script by which a shell completes `steering`, made from the options of all
commands. The script asks `steering completion --names KIND` for names: of MCPs, accesses, sessions and labs."""

import argparse
import sys
from importlib import import_module

SUMMARY: str = "print a script that completes this command in bash, zsh or fish"
EXAMPLE: str = 'eval "$(steering completion bash)"'

SHELLS = ("bash", "zsh", "fish")
PATIENCE = 2.0  # seconds that a shell may wait for names
MOST = 1_000  # most names that a shell gets

# Kind of names -> (path of the resource, field with the list, field with the name of each item).
NAMES = {
    "mcps": (("mcps",), "mcps", "name"),
    "accesses": (("access-networks",), "access_networks", "name"),
    "sessions": (("sessions",), "sessions", "id"),
    "links": (("links",), "links", "name"),
    "pairings": (("pairings",), "pairings", "name"),
}
LABS, EXAMPLES = "labs", "examples"
KINDS = (*NAMES, LABS, EXAMPLES)

# Subcommand and argument -> the names that it takes. An argument is named as its parser names it.
TAKES = {
    ("examples", "name"): EXAMPLES,
    ("lab run", "name"): LABS,
    ("lab all", "names"): LABS,
    ("sessions", "id"): "sessions",
    ("sessions", "mcp"): "mcps",
    ("sessions", "abort"): "sessions",
    ("explain", "id"): "sessions",
    ("whatif", "access"): "accesses",
    ("mcp", "name"): "mcps",
    ("access", "name"): "accesses",
    ("access", "to"): "accesses",
    ("link set", "name"): "links",
    ("link reset", "name"): "links",
    ("pairing set", "name"): "pairings",
    ("pairing remove", "name"): "pairings",
    ("binding add", "device"): "pairings",
    ("binding add", "mcp"): "mcps",
    ("reservation", "session"): "sessions",
    ("reservation", "mcp"): "mcps",
    ("reservation", "of_session"): "sessions",
    ("events", "mcp"): "mcps",
    ("token add", "mcp"): "mcps",
    ("relay", "mcp"): "mcps",
    ("mappings report", "mcp"): "mcps",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("shell", nargs="?", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    what.add_argument(
        "--names", choices=KINDS, metavar="KIND", help=f"print names, for such a script: {', '.join(KINDS)}"
    )


def run(args: argparse.Namespace) -> int:
    """Print the script or the names. Returns 1 where the library that makes scripts is not installed."""
    if args.names is not None:
        print("\n".join(_names(args.names)))
        return 0
    try:
        shtab = import_module("shtab")
    except ImportError:
        print("steering completion: shtab is missing: pip install shtab", file=sys.stderr)
        return 1
    from steering.cli.main import build_whole_parser

    parser = build_whole_parser()
    _name_files(parser, {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY, "FILE.pcap": shtab.FILE})
    _name_names(parser, ())
    print(shtab.complete(parser, args.shell))
    return 0


def _names(kind: str) -> list[str]:
    """The names of a kind. An empty list where the controller cannot be asked: a shell shows no errors at completion."""
    if kind == LABS:
        from topologies.catalogue import MODULES

        return sorted(MODULES)
    if kind == EXAMPLES:
        from steering.cli.commands.examples import FOLDER

        return sorted(path.name for path in FOLDER.glob("*.yaml"))
    from steering.cli import client

    # The environment or the state directory names the controller.
    nowhere = argparse.Namespace(state_dir=None, url=None, token_file=None, ca_file=None, client_cert=None)
    words, items, key = NAMES[kind]
    try:
        found = client.find(nowhere, PATIENCE).get(*words)
        return [str(one[key]) for one in found[items][:MOST]]
    except (client.Unavailable, client.BadInput, KeyError, TypeError):
        return []


def _name_names(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> None:
    """Mark the arguments that take names (`TAKES`)."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, sub in action.choices.items():
                _name_names(sub, (*path, word))
        elif kind := TAKES.get((" ".join(path), action.dest)):
            action.complete = _asking(kind)  # type: ignore[attr-defined]


def _asking(kind: str) -> dict[str, object]:
    """The code that a shell runs when the user presses Tab. zsh gets a function: it would run a plain command only once,
    when the script is loaded."""
    command, function = f"steering completion --names {kind} 2>/dev/null", f"_steering_names_{kind}"
    return {
        "bash": function,
        "zsh": function,
        "fish": f"({command})",
        "preamble": {
            "bash": f'{function}() {{ compgen -W "$({command})" -- "$1"; }}',
            "zsh": f'{function}() {{ compadd -- ${{(f)"$({command})"}}; }}',
        },
    }


def _name_files(parser: argparse.ArgumentParser, kinds: dict[str, object]) -> None:
    """Mark the options and arguments that take a file or a directory. Their metavars say which do."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                _name_files(sub, kinds)
        elif isinstance(action.metavar, str) and action.metavar in kinds:
            action.complete = kinds[action.metavar]  # type: ignore[attr-defined]
