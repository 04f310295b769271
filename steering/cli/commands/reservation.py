"""`steering reservation`: lists reserved rates and subflows; requests, accepts, renews and releases a reservation
(D-6.4g)."""

import argparse
import json
import re
from ipaddress import ip_address
from math import isfinite
from typing import Any

from steering.cli import client
from steering.cli.table import table

SUMMARY: str = "list reservations, ask for a rate or subflows, accept an offer, renew, release"
EXAMPLE: str = "steering reservation request --session 1 --mbit 5"

HEADERS = ["reservation", "level", "of", "standing", "Mbit/s", "subflows", "MCP", "path", "left"]
_FLOW = re.compile(r"(\S+?),(\d{1,5}),(\S+?),(\d{1,5})")
_MEGA = 1_000_000

Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        choices=("list", "request", "accept", "renew", "release"),
        default="list",
        help="list (default), request, or accept, renew, release one by its id",
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="the reservation")
    asked = parser.add_argument_group("what is asked for")
    asked.add_argument(
        "--subscriber", metavar="ID", help="for all of a subscriber, by the policy's id or its pseudonym"
    )
    asked.add_argument("--session", metavar="ID", help="for one M-session")
    asked.add_argument("--flow", metavar="SRC,PORT,DST,PORT", help="for one subflow")
    asked.add_argument("--mcp", metavar="NAME", help="at which MCP, with --subscriber")
    asked.add_argument("--mbit", metavar="N", type=_finite, help="a rate, Mbit/s each way")
    asked.add_argument("--subflows", metavar="N", type=int, help="so many later subflows")
    asked.add_argument(
        "--of-session", metavar="ID", help="with --subflows: level subflow, those of this session"
    )
    parser.add_argument(
        "--lease", metavar="SECONDS", type=float, help="instead of the policy's (request, renew)"
    )
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _told(controller, args))


def _finite(text: str) -> float:
    """A number that is neither infinite nor NaN. Raises ValueError and ArgumentTypeError."""
    value = float(text)
    if not isfinite(value):
        raise argparse.ArgumentTypeError("a finite number is wanted")
    return value


def _told(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    try:
        _answer(controller, args)
    except client.Rejected as error:
        raise client.BadInput(client.first_error(error)) from None


def _answer(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    if args.what in ("accept", "renew", "release"):
        if args.id is None:
            raise client.BadInput(f"{args.what} which? 'steering reservation' lists them")
        _CHANGES[args.what](controller, args)
        return
    if args.id is not None:
        raise client.BadInput(f"{args.what} takes no ID")
    if args.what == "request":
        wish = _wish(args)
        told = controller.request(
            "POST", ["reservations"], body=json.dumps(wish).encode(), headers=client.JSON_BODY
        )
        _print(told.body, args.json)
        return
    body = controller.get("reservations")
    if args.json:
        client.print_json(body)
    elif body["reservations"]:
        print(table(HEADERS, [_row(one) for one in body["reservations"]]))
    else:
        print("nothing is reserved")


def _wish(args: argparse.Namespace) -> Json:
    """The body of a request for a reservation. Raises BadInput."""
    wish: Json = {}
    named = [
        name for name in ("subscriber", "session", "flow", "of_session") if getattr(args, name) is not None
    ]
    if len(named) != 1:
        raise client.BadInput("request wants one of --subscriber, --session, --flow and --of-session")
    (name,) = named
    wish["level"] = {"flow": "subflow", "of_session": "subflow"}.get(name, name)
    if name == "flow":
        wish["flow"] = _flow(args.flow)
    else:
        wish["session" if name == "of_session" else name] = getattr(args, name)
    for key, value in (
        ("mcp", args.mcp),
        ("rate_bps", None if args.mbit is None else int(args.mbit * _MEGA)),
        ("subflows", args.subflows),
        ("lease_s", args.lease),
    ):
        if value is not None:
            wish[key] = value
    return wish


def _flow(text: str) -> Json:
    found = _FLOW.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        src, dst = str(ip_address(found[1])), str(ip_address(found[3]))
    except ValueError:
        raise client.BadInput("--flow wants SRC,PORT,DST,PORT, such as 10.1.0.2,40000,10.9.0.2,443") from None
    return {"src": src, "sport": int(found[2]), "dst": dst, "dport": int(found[4])}


def _accept(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    _print(controller.request("POST", ["reservations", args.id, "accept"]).body, args.json)


def _renew(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    before = controller.request("GET", ["reservations", args.id])
    body = {} if args.lease is None else {"lease_s": args.lease}
    headers = client.JSON_BODY | {"If-Match": before.etag or "*"}
    after = controller.request(
        "PUT", ["reservations", args.id], body=json.dumps(body).encode(), headers=headers
    )
    _print(after.body, args.json)


def _release(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    told = controller.request("DELETE", ["reservations", args.id]).body
    if args.json:
        client.print_json({**told, "changed": True})
    else:
        print(f"{told['id']} is released")


_CHANGES = {"accept": _accept, "renew": _renew, "release": _release}


def _print(one: Json, as_json: bool) -> None:
    if as_json:
        client.print_json({**one, "changed": True})
        return
    parts = []
    if one["asked"]["rate_bps"]:
        parts.append(f"{one['rate_bps'] / _MEGA:g} of {one['asked']['rate_bps'] / _MEGA:g} Mbit/s")
    if one["asked"]["subflows"]:
        parts.append(f"{one['subflows']} of {one['asked']['subflows']} subflows")
    print(f"{one['id']} is {one['standing']}: {', '.join(parts)}, for {one['remaining_s']:.0f} s")
    if one["standing"] == "offered":
        print(f"to take the offer: steering reservation accept {one['id']}")


def _row(one: Json) -> list[object]:
    up = next((path for path in one["paths"] if path["direction"] == "up"), None)
    return [
        one["id"],
        one["level"],
        one["session"] or one["subscriber"],
        one["standing"],
        f"{one['rate_bps'] / _MEGA:g}" if one["rate_bps"] else None,
        one["subflows"] or None,
        one["mcp"],
        "-".join(up["switches"]) if up else None,
        f"{one['remaining_s']:.0f} s",
    ]
