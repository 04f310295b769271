"""Explains a decision in words and a table: the decision, its rule, and why each MCP was chosen or not."""

from typing import Any

from steering.cli.table import narrow
from steering.cli.wording import number

# Field of a candidate that a controller may send -> header of its column.
MORE_COLUMNS = (("on_path", "on-path"), ("sessions", "sessions"), ("port", "port"), ("path", "path"))
ONLY_WIDE = frozenset(title for _, title in MORE_COLUMNS)

# The meaning of the controller's words. A word that is missing here is shown as it is.
REASONS = {
    "score": "its score is the lowest",
    "hysteresis": "it was given last from there, and the best is better by less than the hysteresis",
    "rendezvous": "several score the same, and the hash of the flow decided",
    "only-candidate": "it is the only MCP that is left",
    "no-candidate": "no MCP is left",
    "proactive": "entries set ahead lead all TCP of this subscriber there: no SYN of it waits",
    "rule": "the rule says so",
    "no-gateway": "no gateway leads there",
    "port-not-eligible": "the policy's eligible ports do not have it",
    "server-may-be-capable": "the server is not known to lack MPTCP, and is then left to the host",
    "terminate-only": "the rule's terminate_only leaves such connections alone: see --source-port and marker",
}
FILTERS = {
    "unreachable": "no path leads through it",
    "unresolved": "it answers neither ARP nor ND",
    "address-family": "it has no address of this family",
    "service-port": "it does not serve this port",
    "referral-port": "the port's protocol carries addresses, and it would change the host's",
    "stretch": "the way through it is too long",
    "full": "it is full",
    "draining": "it is being drained",
    "down": "it is down",
    "sick": "it answers, and serves too little",
    "access-network": "it cannot be reached from this access network",
    "foreign": "another operator runs it, and the policy wants none of those",
}

Json = dict[str, Any]


def reasons(decision: Json, wide: bool) -> list[str]:
    """The lines that explain a decision. `wide`: with all fields of its candidates."""
    winner = decision["winner"]
    reason = decision["reason"]
    lines = [f"outcome       {decision['outcome']}{f', MCP {winner}' if winner is not None else ''}"]
    if "rule" in decision:
        lines.append(f"rule          {decision['rule'] or 'none: the terms of the policy itself'}")
    if decision.get("subscriber"):
        lines.append(f"subscriber    {decision['subscriber']}")
    lines += [
        f"reason        {reason}{_meaning(REASONS, reason)}",
        f"natural cost  {number(decision['natural_cost']) or '-'}",
    ]
    candidates = decision["candidates"]
    if not candidates:
        return [*lines, "candidates    none"]
    why_not = [
        f"not {one['mcp']:<9} {one['filtered']}{_meaning(FILTERS, one['filtered'])}"
        for one in candidates
        if one["filtered"] is not None
    ]
    return [*lines, *why_not, "", _candidates(candidates, winner, wide)]


def _meaning(of: dict[str, str], word: str) -> str:
    return f": {of[word]}" if word in of else ""


def _candidates(candidates: list[Json], winner: str | None, wide: bool) -> str:
    """A table with a line for each candidate, of which the winner is marked, and a column for each term of the
    score."""
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
    return narrow([*headers, *(title for _, title in more)], rows, frozenset() if wide else ONLY_WIDE)


def _plain(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value
