"""Proves by an MCP's own port that its process runs, while its reports are missing.

The kernel answers SYNs even if the process is stopped. So a probe is continued to a question: the controller completes the handshake and
ends its own side at once. Only the process can end the other side. A relay does that at once, because the connection is to the relay's own
address. This end, a FIN or a reset, is the answer. It comes from the MCP's port, like the answer to the SYN (mcp_probes).

While an MCP reports, it is asked like this until it has answered at once for the first time. From then on, a missing answer is a sign, too.
A stopped process leaves the connection of each question in its kernel's queue, so there are at most MOST_OPEN questions without an answer.
A process that reports but never answers is still asked now and then. For each further question, its oldest connection is reset.

An answer may be lost, because a reset is not repeated. So MISSING answers in a row have to be missing, and only together with missing
reports they are a sign. If the MCP has answered a question since its last report, MISSING_LATER have to be missing.
"""

SOON = 1.25  # intervals without a report after which the process is asked
MISSING = 2  # questions in a row without an answer that are a sign
MISSING_LATER = 3  # as many, if a question was answered since the last report
MISSED = 0.25  # an answer within so many seconds counts as given at once
MOST_OPEN = 8  # most questions without an answer
AGAIN = 60.0  # seconds between questions to an MCP that reports, and has never answered at once


class ProcessProof:
    """The questions to one MCP's process, and its answers."""

    __slots__ = ("_asked_at", "_first_times", "_open", "_proved_since", "answers", "unanswered")

    def __init__(self) -> None:
        # Source port and acknowledgement number of each question, the latest last, with its time.
        self._open: dict[tuple[int, int], float] = {}
        self._asked_at = float("-inf")
        # The times of the first MISSING_LATER questions since the last answer or report.
        self._first_times: list[float] = []
        self.unanswered = 0  # questions since the last answer or report
        self.answers = False  # the process has answered at once at least one time
        self._proved_since = False  # the process has answered since the last report

    def is_wanted(self, silence: float, pace: float, now: float) -> bool:
        """Whether to ask. `silence`: seconds since the last report. `pace`: the seconds within which one was promised."""
        if silence > SOON * pace:
            return self.unanswered < MOST_OPEN
        return not self.answers and now - self._asked_at >= AGAIN

    def asked(self, port: int, ack: int, now: float) -> tuple[int, int] | None:
        """The process was asked from a source port. Its answer will acknowledge `ack`. If there was no room, the oldest question is given
        up: then this returns that question's port and acknowledgement number, so that its connection can be reset. Else None."""
        if (port, ack) in self._open:
            return None  # the answer to the probe came twice
        given_up = next(iter(self._open)) if len(self._open) >= MOST_OPEN else None
        if given_up is not None:
            del self._open[given_up]
        self._open[port, ack] = self._asked_at = now
        if len(self._first_times) < MISSING_LATER:
            self._first_times.append(now)
        self.unanswered += 1
        return given_up

    def is_asked(self, port: int, ack: int) -> bool:
        return (port, ack) in self._open

    def ports(self) -> set[int]:
        """The source ports of questions without an answer. Their connections may wait in the MCP's kernel."""
        return {port for port, _ in self._open}

    def answered(self, port: int, ack: int, now: float) -> None:
        """The process has answered a question, so it runs. `answers` becomes True only for an answer at once: a process that takes longer
        may not have answered yet."""
        asked_at = self._open.pop((port, ack))
        self.answers = self.answers or now - asked_at <= MISSED
        self._proved_since = True
        self._begin_anew()

    def heard(self) -> None:
        """The MCP has reported, which is a proof as well."""
        self._proved_since = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.unanswered = 0
        self._first_times.clear()

    def stalled(self, seconds: float, now: float) -> None:
        """This controller was busy for so long until now: answers may have come that were not read yet."""
        self._first_times = [min(at + seconds, now) for at in self._first_times]

    def is_missed(self, now: float) -> bool:
        """Whether a process that could answer does not answer. The last question that is needed for that has half an interval."""
        needed = MISSING_LATER if self._proved_since else MISSING
        if not self.answers or len(self._first_times) < needed:
            return False
        before, last = self._first_times[needed - 2 : needed]
        return now - self._first_times[0] >= MISSED and now - last >= (last - before) / 2
