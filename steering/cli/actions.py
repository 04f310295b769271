"""What the commands for one resource each share: a word that says what to do, changes that replace nothing unseen, an
answer on one line or as JSON. Without a word the first action is done, which lists or shows.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from steering.cli import client
from steering.cli.table import table

Json = dict[str, Any]
_PSEUDONYM = re.compile(r"[0-9a-f]{16}", re.ASCII)
Act = Callable[[client.ControllerClient, argparse.Namespace], None]


def _no_arguments(_: argparse.ArgumentParser) -> None:
    """Of actions that have none of their own."""


class Subcommand(NamedTuple):
    """`name` as it is typed; `add_arguments` adds what it alone takes."""

    name: str
    help: str
    act: Act
    add_arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments


def add_actions(parser: argparse.ArgumentParser, actions: Sequence[Subcommand]) -> None:
    """The actions as subcommands; the options of client commands before or after the word."""
    client.add_arguments(parser)
    # Without defaults of its own: they would hide what was given before the word.
    options = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    client.add_arguments(options)
    words = parser.add_subparsers(metavar="WHAT", title=f"what to do (default: {actions[0].name})")
    for action in actions:
        command = words.add_parser(action.name, help=action.help, description=action.help, parents=[options])
        action.add_arguments(command)
        command.set_defaults(act=action.act)
    parser.set_defaults(act=actions[0].act)


def run(args: argparse.Namespace) -> int:
    """Do the action that was asked for; the exit status."""
    return client.ask(args, lambda controller: act(controller, args, args.act))


def act(controller: client.ControllerClient, args: argparse.Namespace, wanted: Act) -> None:
    """Do one action; what is wrong in what was sent becomes one line. Raises BadInput and Unavailable."""
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
    """Ask for a change; `over`: the entity tag of what it replaces. Raises as `Controller.request` does."""
    headers = {} if over is None else {"If-Match": over}
    if body is None:
        return controller.request(method, path, headers=headers).body
    data = json.dumps(body).encode()
    return controller.request(method, path, body=data, headers=client.JSON_BODY | headers).body


def subscriber(controller: client.ControllerClient, name: str) -> str:
    """A subscriber's pseudonym, also by its own name ('-': a line of stdin). The name goes in a body, which nobody logs."""
    if name == "-":
        name = sys.stdin.readline().strip()
    if _PSEUDONYM.fullmatch(name):
        return name
    return str(send(controller, "POST", ["pseudonyms"], {"subscriber": name})["id"])


def tell(args: argparse.Namespace, told: Json, line: str) -> None:
    """The answer to a change."""
    if args.json:
        client.print_json(told)
    else:
        print(line)


def tell_all(args: argparse.Namespace, told: Json, key: str, columns: "Columns", none: str) -> None:
    """A list: the items of `told` at `key`, one a row, or `none` where there is none."""
    if args.json:
        client.print_json(told)
    elif told[key]:
        print(columns.table(told[key]))
    else:
        print(none)


class Columns(NamedTuple):
    """The headers of a table and how an item becomes a row of it."""

    headers: list[str]
    row: Callable[[Json], list[object]]

    def table(self, items: list[Json]) -> str:
        return table(self.headers, [self.row(item) for item in items])


def listed(names: list[str]) -> str | None:
    """Names in one cell; None where there is none."""
    return ", ".join(names) or None


def separate(text: str) -> list[str]:
    """`a,b` as an option has it; an empty text names none."""
    return [part.strip() for part in text.split(",") if part.strip()]
