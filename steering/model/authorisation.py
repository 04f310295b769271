"""Who may use an MCP, and whose packets pass at all: lists, the registry, and the chain that is asked (N-5.3)."""

from dataclasses import dataclass
from enum import StrEnum

from steering.model.network import Network

Ports = tuple[tuple[int, int], ...]  # ranges, both ends included


class Authorizer(StrEnum):
    """Links of the chain. The first two are the controller's own, the others are asked over the network."""

    ACL = "acl"
    REGISTRY = "registry"
    HTTP = "http"
    RADIUS = "radius"

    @property
    def is_remote(self) -> bool:
        return self in (Authorizer.HTTP, Authorizer.RADIUS)


class Verdict(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no-opinion"  # the next of the chain is asked
    ERROR = "error"  # no answer, or none that can be read: closed, unless the policy says open


class ListAnswer(StrEnum):
    """What a list says of whom it names."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class AclEntry:
    """First match over a connection's first SYN; what is empty accepts all. An entry that denies all ports also
    keeps the packets of its sources from the MCPs' addresses, at their first switch (N-5.3b)."""

    name: str
    action: ListAnswer
    sources: tuple[Network, ...] = ()
    access_networks: frozenset[str] = frozenset()
    destinations: tuple[Network, ...] = ()
    ports: Ports = ()


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """A subscriber of the registry, by pseudonym: its own id is kept nowhere (N-7.1)."""

    pseudonym: str
    allowed: bool
    addresses: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Authorization:
    """B24. `required`: access networks whose hosts pass nothing before the registry allows them (N-5.3a)."""

    authorizers: tuple[Authorizer, ...] = (Authorizer.ACL,)
    fail_open: frozenset[Authorizer] = frozenset()
    required: frozenset[str] = frozenset()
    otherwise: ListAnswer = ListAnswer.ALLOW  # when nobody has an opinion
    timeout: float = 1.0  # seconds
    ttl: float = 300.0
    denied_ttl: float = 30.0
    held: int = 1_024  # SYNs that wait for an answer
    cached: int = 65_536  # answers


@dataclass(frozen=True, slots=True)
class CpeAcl:
    """B25: whether MP_CAPABLE to an MCP's own address is for `clients` and paired devices only (N-5.3f, S-14)."""

    block: bool = False
    clients: tuple[Network, ...] = ()
