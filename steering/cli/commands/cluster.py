"""`steering cluster`: shows the controllers of a cluster, and which one decides for which switches. Drains a controller,
takes it back, or levels the load (docs/cluster.rst)."""

import argparse
import time
from contextlib import nullcontext
from typing import Any

from steering.cli import actions, client
from steering.cli.actions import Subcommand, listed
from steering.cli.table import table

SUMMARY: str = "list the controllers of a cluster and who decides for which switches; drain one, take it back, or level the load"
EXAMPLE: str = "steering cluster drain c1"
LOOK = 0.2  # seconds between requests while a share moves
PATIENCE = 40.0  # seconds that a share's move may take; the cluster gives a move up after 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions.add_actions(
        parser,
        (
            Subcommand(
                "list", "members, shares of switches, and what this controller is to each switch", _list
            ),
            Subcommand("drain", "it is to decide for nothing more: its standby takes over", _drain, _name),
            Subcommand("undrain", "it may decide again", _undrain, _name),
            Subcommand(
                "rebalance",
                "spread the shares over the controllers, one at a time, and wait",
                _rebalance,
                _dry_run,
            ),
        ),
    )


run = actions.run


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="ID", help="the controller's name")


def _dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say which shares would move")


def _list(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    told = controller.get("cluster")
    if args.json:
        client.print_json(told)
        return
    if told["controller"] is None:
        print("this controller is alone: it was started without --cluster")
        return
    state = "is reached" if told["etcd"] else "is not reached: all stays as it was last known"
    print(f"this is {told['controller']}; etcd {state}, revision {told['revision']}")
    unheard = told.get("unheard", [])  # a member of an older version does not send it
    rows = [
        [one["name"], one["address"], one["capacity"], _state(one["draining"], one["name"] in unheard)]
        for one in told["members"]
    ]
    print(table(["controller", "address", "capacity", "state"], rows))
    rows = [
        [one["name"], one["owner"], one["generation"], listed([other["name"] for other in one["standbys"]])]
        for one in told["shares"]
    ]
    print(table(["share", "owner", "generation", "standbys"], rows))
    if told["rebalance"] is not None:
        share, taker = told["rebalance"]["share"], told["rebalance"]["taker"]
        print("the load is being levelled" + (f": {share} goes to {taker}" if share else ""))
    elif told.get("gave_up") is not None:
        share, taker = told["gave_up"]["share"], told["gave_up"]["taker"]
        print(f"the load is not levelled: {taker} has not taken {share}")
    if told["peers"]:
        heard = {True: "yes", False: "no"}
        rows = [
            [one["name"], heard[one["reached"]], one["tokens"], heard[one["whole"]], one["unread"]]
            for one in told["peers"]
        ]
        print(table(["owner", "heard", "tokens", "all of them", "bytes unread"], rows))
    if told["switches"]:
        print(
            table(["switch", "this controller is"], [[one["name"], one["role"]] for one in told["switches"]])
        )


def _state(draining: bool, unheard: bool) -> str | None:
    words = ["draining"] * draining + ["not heard"] * unheard
    return ", ".join(words) or None


def _drain(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    _order(controller, args, "drain", "is to decide for nothing more")


def _undrain(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    _order(controller, args, "undrain", "may decide again")


def _order(controller: client.ControllerClient, args: argparse.Namespace, what: str, words: str) -> None:
    told = actions.send(controller, "POST", ["cluster", args.name, what])
    # A member of an older version does not send `changed`.
    actions.tell(args, told, f"{told['name']} {words}", told.get("changed", True))


def _rebalance(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    """Print which shares will move, order the moves, wait for them, and print the result for each share."""
    path = ["cluster", "rebalance"]
    planned = controller.request("POST", path, query={"dry_run": 1}).body
    if args.dry_run:
        actions.tell(args, planned, _plan(planned["moves"], "would move"), bool(planned["moves"]))
        return
    if not args.json:
        print(_plan(planned["moves"], "will move"), flush=True)
    ordered = controller.request("POST", path).body
    left = _wait(controller, args, ordered["moves"])
    if left:
        where = ", ".join(f"{one['share']} to {one['taker']}" for one in left)
        raise client.Unavailable(f"the load is not levelled: not moved: {where}")
    actions.tell(args, ordered, "the load is level", bool(ordered["moves"]))


def _plan(moves: list[dict[str, Any]], words: str) -> str:
    return "\n".join(f"{one['share']} {words} from {one['giver']} to {one['taker']}" for one in moves)


def _wait(
    controller: client.ControllerClient, args: argparse.Namespace, moves: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Wait until no share moves any more. Returns the moves that failed; for a share that moves twice, only the last."""
    left, begun = list({one["share"]: one for one in moves}.values()), False
    until = time.monotonic() + PATIENCE * len(moves)
    while left and time.monotonic() < until:
        with controller.progress or nullcontext():
            time.sleep(LOOK)
        told = controller.get("cluster")
        owners = {one["name"]: one["owner"] for one in told["shares"]}
        under_way = told["rebalance"]
        pending = under_way or told.get(
            "gave_up"
        )  # etcd names the new owner also where it never took the share
        for one in list(left):
            taken = pending is None or pending["share"] != one["share"]
            if owners.get(one["share"]) == one["taker"] and taken:
                left.remove(one)
                if not args.json:
                    print(f"{one['share']} is {one['taker']}'s now", flush=True)
        if begun and under_way is None:
            break  # the controller has ended
        begun = begun or under_way is not None
    return left
