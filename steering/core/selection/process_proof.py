"""Proves by an MCP's own port that its process runs, while its reports are missing.

A kernel answers SYNs for a process that is stopped. So a probe is carried on: the controller completes the handshake and ends
its own side at once, and only the process can end the other side. A relay does that at once, as the connection is to the
relay's own address. The end, a FIN or a reset, comes from the MCP's port as the answer to the SYN does (mcp_probes).

While reports come, an MCP is asked like this until it has answered once: then the absence of an answer is a sign, too. A
stopped process leaves each such connection in its kernel's queue, so at most MOST_OPEN are opened without an answer.
"""

SOON = 1.25  # intervals without a report after which the process is asked
MISSING = 2  # least number of questions in a row without an answer
MISSED = 0.25  # seconds since the first of them, after which the process does not run
MOST_OPEN = 8  # questions in a row without an answer
AGAIN = 60.0  # seconds between questions to an MCP whose reports come and that never answered


class ProcessProof:
    """The questions to one MCP's process, and its answers."""

    __slots__ = ("_asked_at", "_first_open", "_open", "answers", "unanswered")

    def __init__(self) -> None:
        # Source port and acknowledgement number of each question, the latest last.
        self._open: dict[tuple[int, int], None] = {}
        self._asked_at = self._first_open = float("-inf")
        self.unanswered = 0  # questions since the last answer or report
        self.answers = False  # it has answered at least once

    def is_wanted(self, silence: float, pace: float, now: float) -> bool:
        """Whether to ask. `silence`: seconds since the last report. `pace`: the seconds within which one was promised."""
        if silence > SOON * pace:
            return self.unanswered < MOST_OPEN
        return not self.answers and now - self._asked_at >= AGAIN

    def asked(self, port: int, ack: int, now: float) -> None:
        """The process was asked from a source port. Its answer will acknowledge `ack`."""
        if len(self._open) >= MOST_OPEN:
            del self._open[next(iter(self._open))]
        self._open[port, ack] = None
        self._asked_at = now
        if not self.unanswered:
            self._first_open = now
        self.unanswered += 1

    def is_asked(self, port: int, ack: int) -> bool:
        return (port, ack) in self._open

    def ports(self) -> set[int]:
        """The source ports of questions without an answer. Their connections may wait in the MCP's kernel."""
        return {port for port, _ in self._open}

    def answered(self, port: int, ack: int) -> None:
        """The process has answered a question, so it runs."""
        del self._open[port, ack]
        self.answers, self.unanswered = True, 0

    def heard(self) -> None:
        """The MCP has reported, which is a proof as well."""
        self.unanswered = 0

    def is_missed(self, now: float) -> bool:
        """Whether a process that could answer does not answer."""
        return self.answers and self.unanswered >= MISSING and now - self._first_open >= MISSED
