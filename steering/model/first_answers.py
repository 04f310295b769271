"""How many first answers MCPs gave, and how many of them without MPTCP."""

from typing import NamedTuple


class AnswerCounts(NamedTuple):
    """First answers of one access network or MCP, since the controller began. `fallbacks`: how many of the `answers` were
    without MPTCP."""

    name: str
    answers: int
    fallbacks: int


class FirstAnswersSnapshot(NamedTuple):
    """First answers of every access network and every MCP of the site."""

    accesses: tuple[AnswerCounts, ...]
    mcps: tuple[AnswerCounts, ...]
