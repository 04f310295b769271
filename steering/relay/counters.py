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
    """Connections refused because the relay had --max-sessions sessions."""
    refused_destination: int = 0
    """Connections to servers that the relay may not dial."""
    refused_ident: int = 0
    """Hosts whose ident answer (RFC 1413) was missing, or named a user who is not served."""
    explicit: int = 0
    """Sessions of hosts that addressed the MCP itself and named their server (explicit mode)."""
    preface_refused: int = 0
    """Connections in explicit mode that named no server, or one that could not be dialled as asked."""
    refused_family: int = 0
    """Connections for whose server's address family no source mode was given."""
    refused_referral: int = 0
    """Connections to ports whose protocols would need an application gateway (N-5.4.1.2)."""
    refused_pool: int = 0
    """Connections for which no address, block or prefix was left in the pool (N-5.4.2)."""
    refused_ports: int = 0
    """Connections whose subscriber's block had no free port."""
    refused_unmappable: int = 0
    """Connections of hosts whose address has no translation by RFC 6296."""
    accept_failed: int = 0
    """Failed calls of accept()."""
    accept_paused: int = 0
    """Times the relay stopped accepting for a moment because it had no descriptor or memory left."""
    syn_dscp_unread: int = 0
    """Hosts' SYNs whose DSCP could not be read from nft; the server leg's SYN then has DSCP 0."""
    ended_orderly: int = 0
    """Sessions that both ends closed."""
    ended_reset: int = 0
    """Sessions that ended by a reset from either end."""
    bytes_up: int = 0
    """Bytes from hosts to servers, of ended sessions too."""
    bytes_down: int = 0
    """Bytes from servers to hosts, of ended sessions too."""

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
