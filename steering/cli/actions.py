"""Code that the commands of single resources share: an action word, changes that replace only the version that was read,
and an answer on one line or as JSON. Without an action word the first action is done, which lists or shows.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from steering.cli import client
from steering.cli.table import narrow

Json = dict[str, Any]
_PSEUDONYM = re.compile(r"[0-9a-f]{16}", re.ASCII)
Act = Callable[[client.ControllerClient, argparse.Namespace], None]


def _no_arguments(_: argparse.ArgumentParser) -> None:
    """The arguments of an action that has none of its own."""


class Subcommand(NamedTuple):
    """One action. `name`: the word that is typed. `add_arguments`: adds the arguments of this action."""

    name: str
    help: str
    act: Act
    add_arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments


def add_actions(parser: argparse.ArgumentParser, actions: Sequence[Subcommand]) -> None:
    """Add the actions as subcommands. The options of client commands may stand before or after the action word."""
    client.add_arguments(parser)
    # The options after the word have no defaults: a default would replace a value given before the word.
    options = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    client.add_arguments(options)
    words = parser.add_subparsers(metavar="WHAT", title=f"what to do (default: {actions[0].name})")
    for action in actions:
        command = words.add_parser(action.name, help=action.help, description=action.help, parents=[options])
        action.add_arguments(command)
        command.set_defaults(act=action.act)
    parser.set_defaults(act=actions[0].act)


def run(args: argparse.Namespace) -> int:
    """Do the action that was typed. Returns the exit status."""
    return client.ask(args, lambda controller: act(controller, args, args.act))


def act(controller: client.ControllerClient, args: argparse.Namespace, wanted: Act) -> None:
    """Do one action. Where the controller rejects the body, its first error becomes one line. Raises BadInput and
    Unavailable."""
    try:
        wanted(controller, args)
    except client.Rejected as rejected:
        raise client.BadInput(client.first_error(rejected)) from None


def send(
    controller: client.ControllerClient,
    method: str,
    path: Sequence[str],
    body: Json | None = None,
    over: str | None = None,
) -> Json:
    """Send a change. `over`: the entity tag of the version that it replaces. Raises as `ControllerClient.request`
    does."""
    headers = {} if over is None else {"If-Match": over}
    if body is None:
        return controller.request(method, path, headers=headers).body
    data = json.dumps(body).encode()
    return controller.request(method, path, body=data, headers=client.JSON_BODY | headers).body


def subscriber(controller: client.ControllerClient, name: str) -> str:
    """The pseudonym of the subscriber `name`, which is a pseudonym or the subscriber's own id ('-': a line of stdin). The
    id is sent in a body, since bodies are not logged."""
    if name == "-":
        name = line_of_input()
    if _PSEUDONYM.fullmatch(name):
        return name
    return str(send(controller, "POST", ["pseudonyms"], {"subscriber": name})["id"])


def line_of_input() -> str:
    """A line of standard input, without the spaces around it. Raises BadInput where it is no text."""
    try:
        return sys.stdin.readline().strip()
    except UnicodeDecodeError:
        raise client.BadInput("what comes in by standard input is no text") from None


def tell(args: argparse.Namespace, told: Json, line: str, changed: bool = True) -> None:
    """Print the answer to a change: as JSON, or one line. `changed`: whether the change made a difference, for programs
    that repeat an order until nothing changes any more."""
    if args.json:
        client.print_json({**told, "changed": changed})
    else:
        print(line)


def tell_all(args: argparse.Namespace, told: Json, key: str, columns: "Columns", none: str) -> None:
    """Print a list: the items of `told[key]`, one per row, or the text `none` where there are no items."""
    if args.json:
        client.print_json(told)
    elif told[key]:
        print(columns.table(told[key], args.form))
    else:
        print(none)


class Columns(NamedTuple):
    """The headers of a table, and the function that makes a row of an item. `only_wide`: headers of columns that are
    shown only where a wide table is asked for."""

    headers: list[str]
    row: Callable[[Json], list[object]]
    only_wide: frozenset[str] = frozenset()

    def table(self, items: list[Json], form: str | None = client.WIDE) -> str:
        hidden = frozenset() if form == client.WIDE else self.only_wide
        return narrow(self.headers, [self.row(item) for item in items], hidden)


def listed(names: list[str]) -> str | None:
    """Names as the text of one cell; None where there are no names."""
    return ", ".join(names) or None


def separate(text: str) -> list[str]:
    """The names in the text `a,b` of an option; none in an empty text."""
    return [part.strip() for part in text.split(",") if part.strip()]
