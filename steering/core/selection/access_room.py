"""Which access networks have room for more traffic, by the utilisation of their ports (D-1.e)."""

from steering.model.network import AccessNetwork, PortRef

FULL, EMPTIER = 0.8, 0.5  # utilisation at which an access becomes full, and at which it has room again


class AccessRoom:
    """The access networks without room. `used_ports`: the utilisation of each port, 0 to 1, as it was told last."""

    def __init__(self) -> None:
        self.used_ports: dict[PortRef, float] = {}
        self._full: set[str] = set()

    def is_full(self, access: str) -> bool:
        return access in self._full

    def port_load(self, access: AccessNetwork, port: PortRef, utilisation: float) -> bool:
        """The utilisation of one port. An access network is as full as its fullest port. Returns as `load`."""
        self.used_ports[port] = utilisation
        return self.load(access.name, max(self.used_ports.get(known, 0.0) for known in access.ports))

    def load(self, access: str, utilisation: float) -> bool:
        """The utilisation of an access network. Two thresholds keep "full" from flapping. Returns whether the network has
        become full, or has room again."""
        full = utilisation >= (EMPTIER if access in self._full else FULL)
        if full == (access in self._full):
            return False
        (self._full.add if full else self._full.discard)(access)
        return True
