"""Limits of concurrent sessions or subflows, and reached limits (D-6.3f)."""

from typing import NamedTuple


class Limit(NamedTuple):
    """A limit, and where it comes from, in words for operators: "class business", "rule offload", "policy"."""

    most: int
    source: str


class FullLimit(NamedTuple):
    """A limit that was reached, and of what: `kind` such as "subscriber", `name` such as "acme"."""

    kind: str
    name: str
    limit: Limit

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.limit.most} by {self.limit.source}"
