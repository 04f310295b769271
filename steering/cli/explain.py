"""`steering explain`: why a session went to its MCP, or to none."""

import argparse
from typing import Any

from steering.cli import client
from steering.cli.table import table
from steering.cli.wording import duration, number

SUMMARY: str = "explain the decision behind a session: candidates, reasons, scores"

# What a controller may tell of a candidate besides.
MORE_COLUMNS = (("on_path", "on-path"), ("sessions", "sessions"), ("port", "port"), ("path", "path"))

Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a session or a decision, as 'steering sessions' shows them")
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _explain(controller, args.id, args.json))


def _explain(controller: client.Controller, wanted: str, as_json: bool) -> None:
    decision = _decision(controller, wanted)
    if as_json:
        client.print_json(decision)
        return
    for line in _lines(decision):
        print(line)


def _decision(controller: client.Controller, wanted: str) -> Json:
    """The decision with id `wanted`, or that of the session with it."""
    try:
        session = controller.get("sessions", wanted)
    except client.NotFound:
        return _recorded(
            controller, wanted, f"no session and no decision {wanted!r}; 'steering sessions' lists them"
        )
    if session["decision"] is None:
        raise client.Unavailable(
            f"session {wanted!r} has no decision on record: it was read back from the switches"
        )
    gone = f"the decision behind session {wanted!r} is no longer on record"
    return _recorded(controller, session["decision"], gone)


def _recorded(controller: client.Controller, decision_id: str, missing: str) -> Json:
    try:
        return controller.get("decisions", decision_id)
    except client.NotFound:
        raise client.NotFound(missing) from None


def _lines(decision: Json) -> list[str]:
    winner = decision["winner"]
    lines = [
        f"decision      {decision['id']}, {duration(decision['age_s'])} ago, "
        f"policy version {decision['policy_version']}",
        f"outcome       {decision['outcome']}{f', MCP {winner}' if winner is not None else ''}",
        f"reason        {decision['reason']}",
        f"natural cost  {number(decision['natural_cost']) or '-'}",
    ]
    candidates = decision["candidates"]
    if not candidates:
        return [*lines, "candidates    none"]
    return [*lines, "", _candidates(candidates, winner)]


def _candidates(candidates: list[Json], winner: str | None) -> str:
    """A line for each candidate, the winner's marked; a column for each term of the score."""
    terms = list(dict.fromkeys(name for candidate in candidates for name in candidate["terms"]))
    headers = ["", "MCP", "cost", "stretch", *terms, "score", "filtered"]
    more = [(key, title) for key, title in MORE_COLUMNS if any(key in candidate for candidate in candidates)]
    rows: list[list[object]] = [
        [
            "*" if candidate["mcp"] == winner else "",
            candidate["mcp"],
            number(candidate["cost"]),
            number(candidate["stretch"]),
            *(number(candidate["terms"].get(term)) for term in terms),
            number(candidate["score"]),
            candidate["filtered"],
            *(_plain(candidate.get(key)) for key, _ in more),
        ]
        for candidate in candidates
    ]
    return table([*headers, *(title for _, title in more)], rows)


def _plain(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value
