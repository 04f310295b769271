"""Counts of answers, for the metrics."""

from collections import Counter

from steering.model.mapping import MappingRefusal
from steering.store.interface import StateRefusal


class HttpMeter:
    """Answers of the northbound by status code, their time together in seconds, changes that could not be stored, by
    reason, and lines of mapping logs that were not kept, by MCP and reason."""

    def __init__(self) -> None:
        self.codes: Counter[int] = Counter()
        self.seconds = 0.0
        self.state_refused: Counter[StateRefusal] = Counter()
        self.mappings_refused: Counter[tuple[str, MappingRefusal]] = Counter()

    def observe(self, code: int, seconds: float) -> None:
        self.codes[code] += 1
        self.seconds += max(0.0, seconds)
