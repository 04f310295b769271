"""`steering subscriber`: lists the subscribers of the policy, and sets which accesses one may combine (D-6.3e).

Subscribers are shown by their pseudonyms. Arguments may be pseudonyms or their own ids (N-7.1).
"""

import argparse

from steering.cli import actions, client
from steering.cli.actions import Columns, Json, Subcommand, listed, separate

SUMMARY: str = "list the subscribers, or say which accesses one may combine"
EXAMPLE: str = "steering subscriber set alice --preferred wlan,cellular"


def _row(one: Json) -> list[object]:
    access = one["access"]
    return [
        one["id"],
        one["class"],
        listed(one["prefixes"]),
        listed([f"{name} {most}" for name, most in one["quotas"].items() if most is not None]),
        listed(access["allowed"]),
        listed(access["preferred"]),
        access["sequence"],
    ]


COLUMNS = Columns(
    ["subscriber", "class", "prefixes", "limits", "allowed", "preferred", "sequence"],
    _row,
    frozenset({"limits", "sequence"}),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions.add_actions(
        parser,
        (
            Subcommand("list", "the subscribers, and what was said of their accesses", _list),
            Subcommand(
                "set",
                "which access types one may combine and which come first, in place of what rules say; acts on live sessions",
                _set,
                _pooling,
            ),
            Subcommand("reset", "its accesses are as rules say again", _reset, _id),
        ),
    )


run = actions.run


def _id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id",
        metavar="ID",
        help="the subscriber: its own id, or its pseudonym as 'steering subscriber' lists it",
    )
    parser.add_argument(
        "--sequence",
        metavar="N",
        type=int,
        help="of this update, more than the last (default: one more than the last)",
    )


def _pooling(parser: argparse.ArgumentParser) -> None:
    _id(parser)
    parser.add_argument(
        "--allowed",
        metavar="TYPE,...",
        help="types it may combine: cellular, wlan, fixed, satellite, other; '': all (default: as they are)",
    )
    parser.add_argument(
        "--preferred", metavar="TYPE,...", help="types that come first, in order (default: as they are)"
    )


def _list(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    actions.tell_all(
        args, controller.get("subscribers"), "subscribers", COLUMNS, "the policy names no subscriber"
    )


def _set(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    if args.allowed is None and args.preferred is None:
        raise client.BadInput("set wants --allowed or --preferred or both")
    _put(controller, args, args.allowed, args.preferred)


def _reset(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    _put(controller, args, "", "")


def _put(
    controller: client.ControllerClient, args: argparse.Namespace, allowed: str | None, preferred: str | None
) -> None:
    """Change the values that have options; the rest stays. An update that somebody else makes meanwhile is not
    overwritten: this change is refused as stale."""
    wanted = actions.subscriber(controller, args.id)
    found = [one for one in controller.get("subscribers")["subscribers"] if one["id"] == wanted]
    if not found:
        raise client.NotFound(f"no subscriber {args.id!r}; 'steering subscriber' lists them")
    before = found[0]["access"]
    update: Json = {  # in the controller's form; the order of allowed accesses does not matter
        "allowed": before["allowed"] if allowed is None else sorted(set(separate(allowed))),
        "preferred": before["preferred"] if preferred is None else list(dict.fromkeys(separate(preferred))),
    }
    changed = args.sequence is not None or any(before[name] != value for name, value in update.items())
    after: Json = before | {"id": wanted}
    if changed:
        update["sequence"] = before["sequence"] + 1 if args.sequence is None else args.sequence
        after = actions.send(controller, "PUT", ["subscribers", wanted, "access"], update)
    said = f"may combine {listed(after['allowed']) or 'all'}, first {listed(after['preferred']) or 'any'}"
    if not after["allowed"] and not after["preferred"]:
        said = "combines accesses as rules say"
    actions.tell(args, after, f"{after['id']} {said}, update {after['sequence']}", changed)
