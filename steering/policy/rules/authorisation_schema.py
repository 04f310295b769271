"""The schema of authorisation in a policy file: the chain, the access control list, explicit clients.

Bounds: timeout above 0 and at most 5 s, since a host sends its SYN again after one second; ttl and denied_ttl 1 s to
a day; held 1 to 65,536; cached 1 to 1,000,000; 256 entries of a list, with 1,024 sources together.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from steering.model.authorisation import AclEntry, Authorization, Authorizer, CpeAcl, ListAnswer
from steering.policy.language.fields import IpNetwork, ListOrItem, Name, WordedEnum, merged, refuse
from steering.policy.language.findings import Code
from steering.policy.language.rule_fields import Names, Networks, SomePorts
from steering.policy.language.validate import EmptyList, StrictModel

_DEFAULT = Authorization()
MAX_ENTRIES = 256
MAX_SOURCES = 1_024


def _few_sources(entries: list["AclEntryFile"]) -> list["AclEntryFile"]:
    if sum(len(entry.source) for entry in entries) > MAX_SOURCES:
        raise refuse(Code.OUT_OF_RANGE, f"the entries name more than {MAX_SOURCES} sources together")
    return entries


Chain = Annotated[list[Annotated[Authorizer, WordedEnum()]], Field(max_length=len(Authorizer)), ListOrItem()]
Seconds = Annotated[float, Field(ge=1, le=86_400)]


class AuthorizationFile(StrictModel):
    authorizers: Chain = Field(default=list(_DEFAULT.authorizers))
    fail_open: Chain = Field(default=[])
    required: Annotated[list[Name], Field(max_length=MAX_ENTRIES), ListOrItem()] = Field(default=[])
    otherwise: Annotated[ListAnswer, WordedEnum()] = _DEFAULT.otherwise
    timeout: float = Field(default=_DEFAULT.timeout, gt=0, le=5)
    ttl: Seconds = _DEFAULT.ttl
    denied_ttl: Seconds = _DEFAULT.denied_ttl
    held: int = Field(default=_DEFAULT.held, ge=1, le=65_536)
    cached: int = Field(default=_DEFAULT.cached, ge=1, le=1_000_000)

    def compiled(self) -> Authorization:
        """The model's record."""
        return Authorization(
            authorizers=tuple(dict.fromkeys(self.authorizers)),
            fail_open=frozenset(self.fail_open),
            required=frozenset(self.required),
            otherwise=self.otherwise,
            timeout=float(self.timeout),
            ttl=float(self.ttl),
            denied_ttl=float(self.denied_ttl),
            held=self.held,
            cached=self.cached,
        )


class AclEntryFile(StrictModel):
    name: Name
    action: Annotated[ListAnswer, WordedEnum()]
    source: Networks = Field(default=[])
    access: Names = Field(default=[])
    destination: Networks = Field(default=[])
    port: SomePorts = Field(default=[])

    def compiled(self) -> AclEntry:
        """The model's record."""
        return AclEntry(
            self.name,
            self.action,
            tuple(self.source),
            frozenset(self.access),
            tuple(self.destination),
            merged(self.port),
        )


Acl = Annotated[list[AclEntryFile], EmptyList, Field(max_length=MAX_ENTRIES), AfterValidator(_few_sources)]


class CpeAclFile(StrictModel):
    block: bool = False
    clients: Annotated[list[IpNetwork], Field(max_length=MAX_SOURCES), ListOrItem()] = Field(default=[])

    def compiled(self) -> CpeAcl:
        """The model's record."""
        return CpeAcl(self.block, tuple(self.clients))
