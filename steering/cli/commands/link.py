"""`steering link`: lists links and their costs, and sets the weight of a link (D-1.d)."""

import argparse

from steering.cli import actions, client
from steering.cli.actions import Columns, Json, Subcommand
from steering.cli.wording import number

SUMMARY: str = "list the links, set what one costs, or reset it"
EXAMPLE: str = "steering link set s1:3-s2:3 --weight 20"

WEIGHTS = ("weight", "own_weight", "set_weight")
COLUMNS = Columns(
    ["link", "weight", "own weight", "set weight", "up"],
    lambda one: [one["name"], *(number(one[part]) for part in WEIGHTS), one["up"]],
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions.add_actions(
        parser,
        (
            Subcommand("list", "the links and their weights", _list),
            Subcommand(
                "set", "another weight: new sessions go by it, live ones keep their paths", _set, _weight
            ),
            Subcommand("reset", "the site file's weight again", _reset, _name),
        ),
    )


run = actions.run


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the link, as 'steering link' lists it: s1:3-s2:3")


def _weight(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument(
        "--weight", metavar="W", type=float, required=True, help="what it costs, both ways; 1 is common"
    )


def _list(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    body = controller.get("links")
    actions.tell_all(args, body, "links", COLUMNS, "the site has no link")
    if body["kept_flows"] and not args.json:
        print(f"{body['kept_flows']} flows of live sessions are on paths that earlier weights made")


def _set(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    _put(controller, args, args.weight)


def _reset(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    _put(controller, args, None)


def _put(controller: client.ControllerClient, args: argparse.Namespace, weight: float | None) -> None:
    path = ["links", args.name]
    before = controller.request("GET", path)
    after: Json = actions.send(controller, "PUT", path, {"weight": weight}, before.etag)
    changed = any(after[name] != before.body[name] for name in ("weight", "set_weight"))
    whose = "as the site file says" if weight is None else "for sessions that begin from now on"
    actions.tell(args, after, f"{after['name']} has weight {after['weight']:g}, {whose}", changed)
