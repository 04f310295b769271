"""What one run of a controller has counted for quotas, as its exchange with the others asks for it, without an engine."""

from steering.cluster.usage_exchange import UsageContent
from steering.core.selection.used_bytes import UsedBytes


class CountingMember:
    """The `UsageCounts` of the controller `name`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.used = UsedBytes()

    def unwritten(self) -> list[int]:
        return self.used.unwritten()

    def record(self, part: int) -> UsageContent:
        return self.used.record(self.name, part)

    def told(self, controller: str, part: int, used: UsageContent) -> None:
        self.used.told(controller, part, used)

    def written(self, part: int, used: UsageContent) -> None:
        self.used.written(self.name, part, used)
