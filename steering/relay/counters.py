"""A relay's own counters, and the kernel's MPTCP counters of the same namespace."""

from dataclasses import asdict, dataclass
from pathlib import Path

from steering.relay.model import NoSourceReason

NETSTAT = Path("/proc/self/net/netstat")
_PREFIX = "MPTcpExt"


@dataclass(slots=True)
class RelayCounters:
    """Connections since the start, except `active` (sessions now open)."""

    accepted: int = 0
    """Connections of hosts that the relay took."""
    active: int = 0
    """Sessions that are open now."""
    dial_failed: int = 0
    """Sessions whose server was not reached."""
    fallback: int = 0
    """Accepted connections that were plain TCP, by choice of the host or of a middlebox."""
    refused_limit: int = 0
    """Connections beyond as many sessions as it may have at once."""
    refused_destination: int = 0
    """Connections to servers that the relay may not dial."""
    refused_ident: int = 0
    """Hosts that did not say who they are, or are not to be served (RFC 1413)."""
    explicit: int = 0
    """Sessions of hosts that addressed the MCP itself and said where to."""
    preface_refused: int = 0
    """Connections that did not say where to, or not so that it could be done: no server heard of them."""
    refused_family: int = 0
    """No source mode was given for the server's address family."""
    refused_referral: int = 0
    """Ports that would need an application gateway (N-5.4.1.2)."""
    refused_pool: int = 0
    """No address, block or prefix was left (N-5.4.2)."""
    refused_ports: int = 0
    """Every port of the subscriber's block was in use."""
    refused_unmappable: int = 0
    """RFC 6296 has no translation for the host's address."""
    accept_failed: int = 0
    """Times that the kernel did not hand a connection over."""
    accept_paused: int = 0
    """Times that listeners were left alone for a moment: there was no descriptor or memory for whoever waited."""
    syn_dscp_unread: int = 0
    """Hosts' SYNs whose DSCP the kernel did not tell: the server leg's leaves with 0."""
    ended_orderly: int = 0
    """Sessions that both of their ends closed."""
    ended_reset: int = 0
    """Sessions that ended by a reset, of either end."""
    bytes_up: int = 0
    """Host to server, ended sessions included."""
    bytes_down: int = 0
    """Server to host, ended sessions included."""

    def refuse_source(self, reason: NoSourceReason) -> None:
        """Count a connection that got no source address."""
        name = f"refused_{reason.value}"
        setattr(self, name, getattr(self, name) + 1)

    def as_dict(self) -> dict[str, int]:
        """The counters by name."""
        return asdict(self)


def parse_netstat(text: str) -> dict[str, int]:
    """The MPTCP counters of /proc/net/netstat, names as nstat prints them (`MPTcpExtMPJoinAckRx`)."""
    lines = [line.split() for line in text.splitlines() if line.startswith(_PREFIX + ":")]
    if len(lines) < 2:
        return {}
    return {
        _PREFIX + name: int(value)
        for name, value in zip(lines[0][1:], lines[1][1:], strict=False)
        if value.isdigit()
    }


def kernel_counters() -> dict[str, int]:
    """The kernel's MPTCP counters of this network namespace; empty if it keeps none."""
    try:
        return parse_netstat(NETSTAT.read_text())
    except OSError:
        return {}
