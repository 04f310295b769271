"""An attachment port, as the rules of table GUARD see it."""

from dataclasses import dataclass

from steering.core.pipeline.vlans import leaving
from steering.model.ids import PortNumber
from steering.model.network import Address, Network, PortRole, VlanLine
from steering.model.rules import IN_PORT, OutputAction, RuleAction, Table
from steering.model.source import Prefix


@dataclass(frozen=True, slots=True)
class GuardedPort:
    """An attachment port, with all that its rules in GUARD depend on.

    * `on_link`: the prefixes from which ARP and ND are accepted.
    * `allowed`: the sources that may send IP. `denied` and `kept_out` take precedence.
    * `bound`: of the allowed sources, only those that are bound to the port pass (core.network.source_bindings).
    """

    port: PortNumber
    role: PortRole
    gateways: tuple[Address, ...]
    on_link: tuple[Network, ...]
    allowed: tuple[Prefix, ...]
    denied: tuple[Prefix, ...] = ()
    kept_out: tuple[tuple[Network, Address], ...] = ()  # a source, and the MCP's address it may not reach
    # For ports of gateways and MCPs: prefixes and numbers of the access networks. Each has its own meters for copies.
    accesses: tuple[tuple[Network, int], ...] = ()
    line: VlanLine | None = None  # of a tagged port
    probed: tuple[tuple[Address, Address, int], ...] = ()  # an MCP's address, the gateway's, the MCP's port
    bound: bool = False
    dhcp: bool = False  # whether DHCP goes to the controller, which forwards it

    @property
    def next_table(self) -> Table:
        """The table where allowed packets go on."""
        return Table.SOURCE if self.bound else Table.SESSION

    @property
    def back(self) -> tuple[RuleAction, ...]:
        """The actions that send a packet back out of the port where it came in."""
        return (OutputAction(IN_PORT),) if self.line is None else leaving(PortNumber(self.port), self.line)
