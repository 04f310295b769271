"""A limit of concurrent sessions or subflows, and that it was reached (D-6.3f)."""

from typing import NamedTuple


class Limit(NamedTuple):
    """A limit and who set it, as an operator reads it: "class business", "rule offload", "policy"."""

    most: int
    source: str


class FullLimit(NamedTuple):
    """A limit was reached: of what (`kind` such as "subscriber", `name` such as "acme"), and the limit."""

    kind: str
    name: str
    limit: Limit

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.limit.most} by {self.limit.source}"
