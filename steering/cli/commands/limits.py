"""`steering limits`: lists all limits, how much of each is used, and what was refused because of them."""

import argparse
from typing import Any

from steering.cli import client
from steering.cli.table import table

SUMMARY: str = "show the limits, their use, and what was refused"
EXAMPLE: str = "steering limits"

Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _show(controller, args.json))


def _show(controller: client.ControllerClient, as_json: bool) -> None:
    body = controller.get("limits")
    if as_json:
        client.print_json(body)
        return
    rows: list[list[object]] = [
        [one["limit"], "controller", one["most"], one["used"]] for one in body["controller"]
    ]
    rows += [[one["limit"], one["source"], one["most"], None] for one in body["quotas"]]
    print(table(["limit", "by", "most", "used"], rows))
    if body["use"]:
        print()
        print(table(["counts towards", "sessions"], [[_who(one), one["sessions"]] for one in body["use"]]))
    if body["refusals"]:
        print()
        print(table(["refused", "count"], [[reason, count] for reason, count in body["refusals"].items()]))
    if body["full"]:
        print()
        reached = [[f"{_who(one)}: {one['most']} by {one['source']}", one["count"]] for one in body["full"]]
        print(table(["limit that was reached", "refusals"], reached))


def _who(row: Json) -> str:
    return f"{row['kind']} {row['name']}"
