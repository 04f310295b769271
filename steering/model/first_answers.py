"""Counts of first answers: an MCP's SYN/ACK to the first SYN of a session, with MPTCP or without it (a fallback)."""

from typing import NamedTuple


class AnswerCounts(NamedTuple):
    """First answers of one access network or MCP since the controller started. `fallbacks`: how many of the `answers`
    had no MPTCP option."""

    name: str
    answers: int
    fallbacks: int


class FirstAnswersSnapshot(NamedTuple):
    """First answers of every access network and every MCP of the site."""

    accesses: tuple[AnswerCounts, ...]
    mcps: tuple[AnswerCounts, ...]
