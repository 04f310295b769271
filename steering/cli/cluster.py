"""`steering cluster`: the controllers that are one, and who decides for which switches; drains one, or takes it back
(docs/cluster.rst)."""

import argparse

from steering.cli import actions, client
from steering.cli.actions import Subcommand, listed
from steering.cli.table import table

SUMMARY: str = (
    "list the controllers of a cluster and who decides for which switches; drain one, or take it back"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions.add_actions(
        parser,
        (
            Subcommand(
                "list", "members, shares of switches, and what this controller is to each switch", _list
            ),
            Subcommand("drain", "it is to decide for nothing more: its standby takes over", _drain, _name),
            Subcommand("undrain", "it may decide again", _undrain, _name),
        ),
    )


run = actions.run


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="ID", help="the controller's name")


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
    rows = [
        [one["name"], one["address"], one["capacity"], "draining" if one["draining"] else None]
        for one in told["members"]
    ]
    print(table(["controller", "address", "capacity", "state"], rows))
    rows = [
        [one["name"], one["owner"], one["generation"], listed([other["name"] for other in one["standbys"]])]
        for one in told["shares"]
    ]
    print(table(["share", "owner", "generation", "standbys"], rows))
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


def _drain(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    _order(controller, args, "drain", "is to decide for nothing more")


def _undrain(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    _order(controller, args, "undrain", "may decide again")


def _order(controller: client.ControllerClient, args: argparse.Namespace, what: str, words: str) -> None:
    told = actions.send(controller, "POST", ["cluster", args.name, what])
    actions.tell(args, told, f"{told['name']} {words}")
