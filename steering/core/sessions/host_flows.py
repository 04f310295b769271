"""The flows of each host, by the host's address. A host that moves to another port takes its flows with it."""

from itertools import islice

from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.indexes import HashedIndex
from steering.core.sessions.records import Subflow


class HostFlows:
    """The index. `most`: the expected number of hosts. More hosts are possible."""

    def __init__(self, most: int) -> None:
        # Source address -> its subflows. Most have one, and a dict for that would be larger than the subflow.
        self._hosts: HashedIndex[bytes, Subflow | dict[FlowKey, Subflow]] = HashedIndex(most)

    def __len__(self) -> int:
        return len(self._hosts)

    def note(self, address: bytes, subflow: Subflow) -> None:
        """A host has one more subflow from an address."""
        known = self._hosts.get(address)
        if known is None:
            self._hosts[address] = subflow
        elif isinstance(known, Subflow):
            self._hosts[address] = {known.key: known, subflow.key: subflow}
        else:
            known[subflow.key] = subflow

    def forget(self, address: bytes, subflow: Subflow) -> None:
        """A subflow that was noted is over."""
        known = self._hosts[address]
        if isinstance(known, Subflow):
            del self._hosts[address]
            return
        del known[subflow.key]
        if not known:
            del self._hosts[address]

    def subflows_of(self, address: bytes, most: int | None = None) -> list[Subflow]:
        """The subflows that a host has from one of its addresses, the `most` that began first."""
        known = self._hosts.get(address)
        if known is None:
            return []
        return [known] if isinstance(known, Subflow) else list(islice(known.values(), most))
