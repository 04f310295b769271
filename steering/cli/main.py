"""The `steering` command: finds the subcommand and calls its module.

A subcommand is a module `steering/cli/commands/<name>.py` with `SUMMARY: str`, `EXAMPLE: str` (a command line, for its help),
`add_arguments(parser)` and `run(args) -> int`. Only the module that was asked for is imported, and nothing here
imports sockets or threads: `steering run` has to patch the standard library for eventlet before anything else loads it.

Exit status: 0 success, 1 the command failed, 2 bad usage or bad input, 130 interrupted, 141 the reader of the
output is gone (a shell shows the same for a program that SIGPIPE ended).
"""

import argparse
import ast
import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from steering import __version__

COMMANDS = (
    "run",
    "init",
    "check",
    "examples",
    "lab",
    "decode",
    "status",
    "topology",
    "sessions",
    "explain",
    "whatif",
    "mcp",
    "access",
    "link",
    "subscriber",
    "acl",
    "registry",
    "pairing",
    "binding",
    "limits",
    "cluster",
    "reservation",
    "events",
    "policy",
    "token",
    "relay",
    "connect",
    "mappings",
    "doctor",
    "bench",
    "completion",
)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

# Errors of a write to a file that stands for standard output.
UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

EPILOG = "example: steering run --site site.yaml --policy policy.yaml"


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that reports an error in one line on stderr. Its subparsers are of the same class."""

    def error(self, message: str) -> NoReturn:
        """Print `message` and how to get help, and end the process with status 2."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (see '{self.prog} --help')\n")


def _source_of(command: str) -> str:
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "commands", f"{command}.py")


def available() -> tuple[str, ...]:
    """The subcommands whose module is installed, in the order in which help lists them."""
    return tuple(command for command in COMMANDS if os.path.exists(_source_of(command)))


def summary_of(command: str) -> str:
    """The literal `SUMMARY` of a subcommand, read from its source, so that help does not import all subcommands."""
    with open(_source_of(command), encoding="utf-8") as source:
        tree = ast.parse(source.read())
    for node in tree.body:
        if isinstance(node, ast.AnnAssign):
            targets: list[ast.expr] = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        else:
            continue
        named = any(isinstance(target, ast.Name) and target.id == "SUMMARY" for target in targets)
        if named and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return node.value.value
    return ""


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """The parser of `steering`; only the `chosen` subcommand's module is imported and gets its arguments."""
    return _build(frozenset() if chosen is None else frozenset({chosen}))


def build_whole_parser() -> argparse.ArgumentParser:
    """The parser with the arguments of all subcommands, for programs that describe the command."""
    return _build(frozenset(available()))


def _build(chosen: frozenset[str]) -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="steering",
        description="Steer Multipath TCP connections through MPTCP proxies (MCPs), every subflow to the same one.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"steering {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in available():
        if command not in chosen:
            # Only the list of all commands shows summaries. Each summary costs reading a source file.
            commands.add_parser(command, help=None if chosen else summary_of(command))
            continue
        module = import_module(f"steering.cli.commands.{command}")
        subparser = commands.add_parser(command, help=module.SUMMARY, description=module.SUMMARY)
        module.add_arguments(subparser)
        _explain(subparser, getattr(module, "EXAMPLE", ""))
        subparser.set_defaults(run_subcommand=module.run)
    return parser


def _explain(parser: argparse.ArgumentParser, example: str) -> None:
    """Add to a help text what every help has: the subcommand's summary, and an example at the end."""
    if example:
        parser.epilog = f"{parser.epilog} Example: {example}" if parser.epilog else f"example: {example}"
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for listed in action._choices_actions:
                below = action.choices[listed.dest]
                below.description = below.description or listed.help


def _unknown(word: str) -> int:
    from difflib import get_close_matches  # imported here, as only a mistyped command needs it

    near = get_close_matches(word, available(), n=1)
    hint = f": did you mean '{near[0]}'?" if near else " (see 'steering --help')"
    print(f"steering: no command '{word}'{hint}", file=sys.stderr)
    return EXIT_USAGE


def _dispatch(words: Sequence[str]) -> int:
    chosen = words[0] if words and not words[0].startswith("-") else None
    if chosen is not None and chosen not in available():
        return _unknown(chosen)
    parser = build_parser(chosen)
    if not words:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    args = parser.parse_args(words)
    if chosen is None:
        parser.error("options of a subcommand come after its name")
    status: int = args.run_subcommand(args)
    # Flushing here finds out whether the reader is gone. Otherwise the interpreter would print a traceback at its exit.
    sys.stdout.flush()
    return status


def _reader_went_away() -> bool:
    """Whether the broken pipe is standard output. If so, output that is still buffered is discarded."""
    import select  # imported here, as only this rare case needs it

    try:
        output = sys.stdout.fileno()
        poll = select.poll()
        poll.register(output, select.POLLOUT)
        broken = any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    except (OSError, ValueError):  # standard output has no descriptor, or a closed one
        return False
    if broken:
        _discard_output()
    return broken


def _discard_output() -> None:
    """Discard output that is still buffered: at the interpreter's exit it would fail once more."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # standard output has no descriptor, so nothing is buffered for one


def _complete_streams() -> None:
    """Put the null device in place of standard streams with which the command was not started (`>&-`), so that code may
    use them. Characters that the terminal's encoding lacks are written as escapes."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns its exit status (see the module's docstring)."""
    _complete_streams()
    try:
        return _dispatch(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        if not _reader_went_away():
            raise  # another pipe or socket broke, which is an error
        return EXIT_BROKEN_PIPE
    except OSError as error:
        if error.errno not in UNWRITABLE or error.filename is not None:
            raise  # no output, but a file of the command
        _discard_output()
        print(f"steering: the output cannot be written: {error.strerror}", file=sys.stderr)
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
