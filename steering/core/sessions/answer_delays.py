"""How long MCPs take to answer first SYNs, and how long the controller waits for an answer (RFC 6298 section 2).

An MCP that is far away answers late, but is not sick. A delay is the time between the copies of a SYN and of its answer. Delays are kept by
MCP and ingress port. At a port without known delays, as where only joins come in, the MCP's delays at all ports count. An MCP is kept only
if its answers take longer than PATIENCE at some port. Then its quicker ports are kept too. So a slow port, or a host there that repeats its
SYNs, does not make the controller wait longer at other ports.

If a host repeats a SYN that the MCP did not get, the answer looks late (Karn's algorithm). So delays that are longer than REPEATED do not
count. A host that repeats its SYNs sooner can raise the patience to MOST_PATIENCE at most.
"""

from steering.model.ids import McpId, WaypointId

PATIENCE = 0.3  # seconds in which an MCP has to answer a SYN, if its answers were not later so far
MOST_PATIENCE = 2.0  # seconds
REPEATED = 1.0  # seconds after which a host repeats a SYN (RFC 6298 section 2.1)
QUICK = PATIENCE / 3  # seconds; a first delay of R makes a patience of 3 R
GAIN, SPREAD_GAIN, SPREADS = 1 / 8, 1 / 4, 4.0  # alpha, beta and K of RFC 6298

McpAndPort = tuple[McpId, WaypointId | None]  # None: all ports


class AnswerDelays:
    """The delays by MCP and ingress port. Its truth value is False if none is kept: then a delay up to QUICK changes nothing."""

    def __init__(self) -> None:
        self._known: dict[McpAndPort, tuple[float, float]] = {}  # smoothed delay, and its mean deviation

    def __bool__(self) -> bool:
        return bool(self._known)

    def patience(self, mcp: McpId, entrance: WaypointId) -> float:
        """Seconds in which an MCP has to answer SYNs from a port: from PATIENCE to MOST_PATIENCE."""
        if not self._known:
            return PATIENCE
        known = self._known.get((mcp, entrance)) or self._known.get((mcp, None))
        return PATIENCE if known is None else _patience(*known)

    def took(self, mcp: McpId, entrance: WaypointId, delay: float) -> bool:
        """An answer took `delay` seconds. Returns whether the controller would have waited less for it."""
        if not 0 < delay < REPEATED:
            return False
        is_late = delay > self.patience(mcp, entrance)
        self._note((mcp, entrance), delay)
        self._note((mcp, None), delay)
        return is_late

    def _note(self, place: McpAndPort, delay: float) -> None:
        if place in self._known:
            smoothed, spread = self._known[place]
            spread += SPREAD_GAIN * (abs(delay - smoothed) - spread)
            smoothed += GAIN * (delay - smoothed)
        else:
            smoothed, spread = delay, delay / 2
        mcp, entrance = place
        if _patience(smoothed, spread) > PATIENCE or (entrance is not None and (mcp, None) in self._known):
            self._known[place] = smoothed, spread
        else:
            self._known.pop(place, None)

    def forget(self, mcp: McpId) -> None:
        """Forget the delays of an MCP that is another now."""
        for place in [one for one in self._known if one[0] == mcp]:
            del self._known[place]


def _patience(smoothed: float, spread: float) -> float:
    return min(MOST_PATIENCE, max(PATIENCE, smoothed + SPREADS * spread))
