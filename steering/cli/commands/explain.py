"""`steering explain`: draws a session, and says why it is at its MCP."""

import argparse
from typing import Any

from steering.cli import client
from steering.cli.drawing import draw
from steering.cli.reasons import reasons
from steering.cli.wording import duration

SUMMARY: str = "draw a session and explain it: accesses, MCP, server, each path, each reason"
EXAMPLE: str = "steering explain 1"

Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a session or a decision, as 'steering sessions' shows them")
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _explain(controller, args))


def _explain(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    session, decision = _asked(controller, args.id)
    if args.json:
        client.print_json(decision)
        return
    lines = [] if session is None else [*draw(session, decision), ""]
    age = duration(decision["age_s"])
    head = f"decision      {decision['id']}, {age} ago, policy version {decision['policy_version']}"
    for line in [*lines, head, *reasons(decision, args.form == client.WIDE)]:
        print(line)


def _asked(controller: client.ControllerClient, wanted: str) -> tuple[Json | None, Json]:
    """The session with id `wanted` and its decision. Where no session has that id: None, and the decision with that
    id."""
    try:
        session = controller.get("sessions", wanted)
    except client.NotFound:
        missing = f"no session and no decision {wanted!r}; 'steering sessions' lists them"
        return None, _recorded(controller, wanted, missing)
    if session["decision"] is None:
        raise client.Unavailable(
            f"session {wanted!r} has no decision on record: it was read back from the switches"
        )
    gone = f"the decision behind session {wanted!r} is no longer on record"
    return session, _recorded(controller, session["decision"], gone)


def _recorded(controller: client.ControllerClient, decision_id: str, missing: str) -> Json:
    try:
        return controller.get("decisions", decision_id)
    except client.NotFound:
        raise client.NotFound(missing) from None
