"""`steering topology`: shows switches, links, attachments, hosts, and the gateways to servers."""

import argparse

from steering.cli import client
from steering.cli.actions import Columns, listed
from steering.cli.wording import number, speed

SUMMARY: str = "list the switches, links, ports, attachments, hosts and gateways"
EXAMPLE: str = "steering topology ports"

PARTS = {
    "switches": Columns(
        ["switch", "datapath", "connected"], lambda one: [one["name"], one["dpid"], one["connected"]]
    ),
    "refused": Columns(
        ["refused datapath", "reason", "times"], lambda one: [one["dpid"], one["reason"], one["times"]]
    ),
    "links": Columns(
        ["link from", "to", "weight", "up"],
        lambda one: [one["a"], one["b"], number(one["weight"]), one["up"]],
    ),
    "attachments": Columns(
        ["attached", "role", "port", "up"], lambda one: [one["name"], one["role"], one["port"], one["up"]]
    ),
    "hosts": Columns(
        ["host", "hardware address", "port"], lambda one: [one["address"], one["mac"], one["port"]]
    ),
    "ports": Columns(
        ["port", "name", "up", "speed", "leads to"],
        lambda one: [one["port"], one["name"] or None, one["up"], speed(one["speed_kbit"]), one["leads_to"]],
    ),
    "gateways": Columns(
        ["gateway", "prefixes", "ports", "addresses", "next hops"],
        lambda one: [
            one["name"],
            *(listed(one[part]) for part in ("prefixes", "ports", "addresses", "next_hops")),
        ],
    ),
}

LAYOUT = Columns(
    ["drawn", "kind", "x", "y", "up"],
    lambda one: [one["name"], one["kind"], number(one["x"]), number(one["y"]), one["up"]],
)


PORTS = "ports"  # asks for ports: those of many switches are too many to be shown with the rest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "part",
        nargs="?",
        choices=(*PARTS, "layout"),
        metavar="PART",
        help=f"only {', '.join(PARTS)} (default: all of these but ports), or layout: where the live page draws things",
    )
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _show(controller, args))


def _show(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    if args.part == "layout":
        _show_layout(controller, args)
        return
    if args.part == PORTS:
        found = controller.get(PORTS)
    else:
        found = controller.get("topology") | controller.get("gateways")
    parts = [part for part in PARTS if part != PORTS] if args.part is None else [args.part]
    wanted = {part: found[part] for part in parts}
    if args.json:
        client.print_json(wanted)
        return
    tables = [PARTS[part].table(items) for part, items in wanted.items() if items]
    print("\n\n".join(tables) or "none is known")


def _show_layout(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    drawn = controller.get("topology", "layout")
    if args.json:
        client.print_json(drawn)
        return
    print(LAYOUT.table(drawn["nodes"]) if drawn["nodes"] else "none is known")
