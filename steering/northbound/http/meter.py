"""Counts of answers, for the metrics."""

from collections import Counter


class HttpMeter:
    """Answers of the northbound by status code, and the time they took."""

    def __init__(self) -> None:
        self.codes: Counter[int] = Counter()
        self.seconds = 0.0

    def observe(self, code: int, seconds: float) -> None:
        self.codes[code] += 1
        self.seconds += max(0.0, seconds)
