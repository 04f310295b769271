"""Writes the man pages of `steering` from its own options: steering(1), and steering-COMMAND(1) for each command.

usage: python packaging/manpages.py FOLDER
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

FILES = (
    ("/etc/steering/site.yaml", "what is in the network; the controller starts when it is there"),
    ("/etc/steering/policy.yaml", "what is wanted"),
    ("/etc/steering/controller.conf", "options of steering.service"),
    ("/etc/steering/relay/NAME.conf", "options of steering-relay@NAME.service"),
    ("/var/lib/steering", "what outlives the controller: tokens, policies, sessions, reservations"),
)
STATUSES = (
    ("0", "success"),
    ("1", "what was asked for failed"),
    ("2", "bad usage or bad input"),
    ("130", "interrupted"),
)
VARIABLES = (
    ("STEERING_URL", "the REST address of the controller"),
    ("STEERING_TOKEN_FILE", "the file of the bearer token"),
    ("STEERING_CA_FILE", "the CA of the controller's certificate (PEM)"),
    ("NO_COLOR", "tables without colours"),
)


def _roff(text: str) -> str:
    """Text escaped so that roff prints it unchanged, with no line that roff would take for a request."""
    told = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\n".join("\\&" + line if line.startswith((".", "\\(aq")) else line for line in told.split("\n"))


def _terms(title: str, terms: Iterator[tuple[str, str]] | tuple[tuple[str, str], ...]) -> list[str]:
    found = [line for term, text in terms for line in (".TP", f"\\fB{_roff(term)}\\fR", _roff(text or "-"))]
    return [f".SH {title}", *found] if found else []


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """The help of an option or argument, with its default and choices filled in."""
    return parser._get_formatter()._expand_help(action) if action.help else ""


def _term(action: argparse.Action) -> str:
    metavar = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    value = " ".join(metavar) if isinstance(metavar, tuple) else metavar
    if not action.option_strings:
        return value
    return ", ".join(action.option_strings) + (f" {value}" if action.nargs != 0 and value else "")


def _arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or action.help == argparse.SUPPRESS:
            continue
        yield _term(action), _help(parser, action)


def _below(parser: argparse.ArgumentParser) -> list[tuple[str, str, argparse.ArgumentParser]]:
    """The subcommands of a parser: (name, summary, parser)."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}
            found += [(name, told.get(name, ""), sub) for name, sub in action.choices.items()]
    return found


def _synopsis(parser: argparse.ArgumentParser) -> str:
    usage = re.sub(r"\s+", " ", parser.format_usage().removeprefix("usage: "))
    return _roff(usage.strip())


def page(name: str, summary: str, parser: argparse.ArgumentParser, version: str, see: list[str]) -> str:
    """One man page as roff."""
    lines = [
        f'.TH {name.upper().replace("-", chr(92) + "-")} 1 "" "steering {version}" "steering"',
        ".SH NAME",
        f"{_roff(name)} \\- {_roff(summary)}",
        ".SH SYNOPSIS",
        _synopsis(parser),
    ]
    if parser.description and parser.description != summary:
        lines += [".SH DESCRIPTION", _roff(parser.description)]
    below = _below(parser)
    lines += _terms("COMMANDS", tuple((word, told) for word, told, _ in below))
    lines += _terms("OPTIONS", _arguments(parser))
    if name != "steering":
        for word, _, sub in below:
            lines += _terms(f"OPTIONS OF {_roff(word.upper())}", _arguments(sub))
    if parser.epilog:
        lines += [".SH EXAMPLES", _roff(parser.epilog)]
    lines += _terms("EXIT STATUS", STATUSES) + _terms("ENVIRONMENT", VARIABLES) + _terms("FILES", FILES)
    lines += [".SH SEE ALSO", ", ".join(f"\\fB{_roff(other)}\\fR(1)" for other in see), ""]
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """File name -> text, for all pages."""
    from steering import __version__
    from steering.cli.main import build_whole_parser

    whole = build_whole_parser()
    below = _below(whole)
    summary = "steer Multipath TCP connections through MPTCP proxies"
    names = [f"steering-{word}" for word, _, _ in below]
    found = {"steering.1": page("steering", summary, whole, __version__, names)}
    for word, told, sub in below:
        found[f"steering-{word}.1"] = page(f"steering-{word}", told, sub, __version__, ["steering"])
    return found


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
