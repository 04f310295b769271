"""Authorisation (N-5.3): access control lists, the registry of subscribers, and the chain of authorisers. They decide
who may use an MCP, and whose packets pass at all."""

from dataclasses import dataclass
from enum import StrEnum

from steering.model.network import Network

Ports = tuple[tuple[int, int], ...]  # ranges, both ends included


class Authorizer(StrEnum):
    """The authorisers of the chain. The first two are in the controller; the others are asked over the network."""

    ACL = "acl"
    REGISTRY = "registry"
    HTTP = "http"
    RADIUS = "radius"

    @property
    def is_remote(self) -> bool:
        return self in (Authorizer.HTTP, Authorizer.RADIUS)


class Verdict(StrEnum):
    """The answer of one authoriser."""

    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no-opinion"  # the next authoriser of the chain is asked
    ERROR = "error"  # no answer, or an unreadable one: counts as a denial, unless the policy says otherwise


class ListAnswer(StrEnum):
    """What an entry of an access control list says of the sources that match it."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class AclEntry:
    """An entry of an access control list. The first entry that matches a connection's first SYN counts. An empty field
    matches everything. If an entry denies all ports, the first switch also drops packets of the entry's sources to
    addresses of MCPs (N-5.3b)."""

    name: str
    action: ListAnswer
    sources: tuple[Network, ...] = ()
    access_networks: frozenset[str] = frozenset()
    destinations: tuple[Network, ...] = ()
    ports: Ports = ()


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """A subscriber of the registry, by its pseudonym. Its own id is not stored (N-7.1)."""

    pseudonym: str
    allowed: bool
    addresses: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Authorization:
    """The policy's authorisation (B24). `required`: access networks whose hosts' packets are dropped until the
    registry allows the host (N-5.3a)."""

    authorizers: tuple[Authorizer, ...] = (Authorizer.ACL,)
    fail_open: frozenset[Authorizer] = frozenset()
    required: frozenset[str] = frozenset()
    otherwise: ListAnswer = ListAnswer.ALLOW  # the answer when no authoriser has an opinion
    timeout: float = 1.0  # seconds
    ttl: float = 300.0  # seconds for which an answer that allows is remembered
    denied_ttl: float = 30.0  # the same for an answer that denies
    held: int = 1_024  # most SYNs that wait for an answer
    cached: int = 65_536  # most answers that are remembered


@dataclass(frozen=True, slots=True)
class CpeAcl:
    """B25: whether only `clients` and paired devices may send MP_CAPABLE to an MCP's own address (N-5.3f, S-14)."""

    block: bool = False
    clients: tuple[Network, ...] = ()
