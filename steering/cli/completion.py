"""`steering completion`: prints a script by which a shell completes `steering`, made from the options of all
commands."""

import argparse
import sys
from importlib import import_module

SUMMARY: str = "print a script that completes this command in bash, zsh or fish"

EPILOG = 'example: eval "$(steering completion bash)"'
SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")


def run(args: argparse.Namespace) -> int:
    """Print the script. Returns 1 where the library that makes it is not installed."""
    try:
        shtab = import_module("shtab")
    except ImportError:
        print("steering completion: shtab is missing: pip install shtab", file=sys.stderr)
        return 1
    from steering.cli.main import build_whole_parser

    parser = build_whole_parser()
    _name_files(parser, {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY, "FILE.pcap": shtab.FILE})
    print(shtab.complete(parser, args.shell))
    return 0


def _name_files(parser: argparse.ArgumentParser, kinds: dict[str, object]) -> None:
    """Mark the options and arguments that take a file or a directory. Their metavars say which do."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                _name_files(sub, kinds)
        elif isinstance(action.metavar, str) and action.metavar in kinds:
            action.complete = kinds[action.metavar]  # type: ignore[attr-defined]
