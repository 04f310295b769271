"""How many first answers MCPs gave, and how many of them without MPTCP."""

from typing import NamedTuple


class AnswerCounts(NamedTuple):
    """Of one access network or MCP, since the controller began. `fallbacks`: of `answers`, those without MPTCP."""

    name: str
    answers: int
    fallbacks: int


class FirstAnswersSnapshot(NamedTuple):
    """Of every access network and every MCP of the site."""

    accesses: tuple[AnswerCounts, ...]
    mcps: tuple[AnswerCounts, ...]
