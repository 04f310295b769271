"""Draws a session as text: from left to right, a line for each subflow of the host, then the MCP, then the server.

10.1.0.2:40000 --- lte, s1 ---- initial, natural path ---+
                                                         +=== core, s3:1 --- 10.9.0.2:80
10.2.0.2:40001 --- wlan, s2 --- join, redirected --------+
"""

from typing import Any

from steering.cli.wording import counted, endpoint

Json = dict[str, Any]

PATHS = {"natural": "natural path", "redirected": "redirected"}


def draw(session: Json, decision: Json) -> list[str]:
    """The lines of the drawing, headings included."""
    token, version = session["token"], session["version"]
    heading = [f"session {session['id']}", session["state"], counted(len(session["subflows"]), "subflow")]
    heading += [] if version is None else [f"MPTCP version {version}"]
    heading += [] if token is None else [f"token {token}"]
    chosen: Json = next((one for one in decision["candidates"] if one["mcp"] == session["mcp"]), {})
    at = f", {chosen['port']}" if chosen.get("port") else ""
    trunk = f"=== {session['mcp']}{at} --- {session['server']}"
    rows = [_row(subflow) for subflow in session["subflows"]]
    lines = [", ".join(heading), ""]
    if not rows:
        return [*lines, f"  {session['client']} ... no subflow now ... {trunk}"]
    return [*lines, *_joined(rows, trunk)]


def _row(subflow: Json) -> list[str]:
    enters = f"{subflow['access_network'] or 'no access network'}, {subflow['switch']}"
    path = PATHS.get(subflow["path"], subflow["path"])
    how = [subflow["kind"], path] + (["backup"] if subflow["backup"] else [])
    return [endpoint(subflow["src"], subflow["sport"]), enters, ", ".join(how)]


def _joined(rows: list[list[str]], trunk: str) -> list[str]:
    """Join the lines of subflows at their middle, where the line to the server begins."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    branches = [
        "  "
        + "".join(f"{cell} ".ljust(width + 1, "-") + "--- " for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    branches = [branch.rstrip(" ") + "+" for branch in branches]
    if len(branches) == 1:
        return [branches[0] + trunk]
    left = len(branches[0]) - 1
    middle = len(branches) // 2
    lines = [*branches[:middle], " " * left + "+" + trunk, *branches[middle:]]
    return lines
