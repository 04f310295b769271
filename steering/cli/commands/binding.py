"""`steering binding`: ports that MCPs keep open, so that connections from outside reach a device (N-5.2.1e)."""

import argparse

from steering.cli import actions, client
from steering.cli.actions import Columns, Json, Subcommand
from steering.cli.wording import duration, endpoint

SUMMARY: str = "list, add, renew and remove ports that MCPs keep open for devices"
EXAMPLE: str = "steering binding add 8443 --device phone --mcp core"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions.add_actions(
        parser,
        (
            Subcommand("list", "the bindings; a device's token sees its own", _list),
            Subcommand("add", "have an MCP keep a port open for a device", _add, _wish),
            Subcommand("renew", "begin its lifetime anew", _renew, _renewal),
            Subcommand("remove", "close it", _remove, _id),
        ),
    )


run = actions.run


def _id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the binding, as 'steering binding' lists it")


def _lifetime(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--lifetime", metavar="SECONDS", type=int, help=f"how long it lasts, a day at most ({default})"
    )


def _renewal(parser: argparse.ArgumentParser) -> None:
    _id(parser)
    _lifetime(parser, "default: as before")


def _wish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("port", metavar="PORT", type=int, help="the device's own port")
    parser.add_argument(
        "--device", metavar="NAME", help="whose; operators have to name it, a device's token is its own"
    )
    parser.add_argument("--mcp", metavar="NAME", help="at which MCP (default: the least loaded that is well)")
    parser.add_argument(
        "--address", metavar="ADDRESS", help="the device's (default: the first it is paired with)"
    )
    parser.add_argument("--ext-port", metavar="N", type=int, help="the MCP's port (default: a free one)")
    _lifetime(parser, "default: an hour")


def _row(one: Json) -> list[object]:
    return [
        one["id"], one["device"], one["mcp"], _outside(one), endpoint(one["address"], one["int_port"]),
        duration(one["remaining_s"]),
    ]  # fmt: skip


def _outside(one: Json) -> str:
    """The outside address and port of a binding. Where its MCP is gone, the address is not known."""
    address = one["ext_address"]
    return f"port {one['ext_port']}" if address is None else endpoint(address, one["ext_port"])


COLUMNS = Columns(["binding", "device", "MCP", "outside", "inside", "left"], _row)


def _list(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    actions.tell_all(args, controller.get("bindings"), "bindings", COLUMNS, "no port is bound")


def _add(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    wish = {
        "device": args.device,
        "mcp": args.mcp,
        "address": args.address,
        "ext_port": args.ext_port,
        "lifetime_s": args.lifetime,
    }
    given = {name: value for name, value in wish.items() if value is not None}
    _tell(args, actions.send(controller, "POST", ["bindings"], {"int_port": args.port} | given))


def _renew(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    path = ["bindings", args.id]
    before = controller.request("GET", path)
    body = {} if args.lifetime is None else {"lifetime_s": args.lifetime}
    _tell(args, actions.send(controller, "PUT", path, body, before.etag))


def _tell(args: argparse.Namespace, one: Json) -> None:
    line = (
        f"{one['id']}: {_outside(one)} of {one['mcp']} leads to {endpoint(one['address'], one['int_port'])}"
    )
    actions.tell(args, one, f"{line} of {one['device']}, for {duration(one['lifetime_s'])}")


def _remove(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    told = actions.send(controller, "DELETE", ["bindings", args.id])
    actions.tell(args, told, f"{told['id']} is closed")
