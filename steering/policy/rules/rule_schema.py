"""The schema of a policy's rules, and of the subscribers, classes and applications that they name.

Every condition takes one value or a list of values. A rule matches where all of its conditions match. Bounds:

* quotas: subflows_per_session 1 to 64; sessions 0 (none) to 1,000,000.
* ratio: at least two access networks, shares 1 to 1000.
* pooling.quota_bytes: 1 to 10^15 bytes that a subscriber's hosts send by accesses of that type, counted on over restarts and by
  all controllers of a cluster; then its subflows there are backups (N-5.6.1n).

The key `distribution` says how a session uses its accesses (N-5.6.2a). Other keys name special cases of it, or give
it values:

* `lowest-rtt` (default): all subflows carry data, as the kernel's scheduler decides. Same as `usage_mode: native`.
* `active-backup`: the subflows of the best access type carry data. The others are backups (MP_PRIO), and take over
  when the best ones have failed. The best type is the first of `pooling.preferred`; without that, the type of the
  access on which the session began. Same as `usage_mode: active-backup`.
* `ratio`: like `lowest-rtt`, but each access network's part of a session is limited to its share. It needs the key
  `ratio`, and that key implies it.
* `overflow`: like `active-backup` until 80 % of the best access is used. Then all carry data until it is below 50 %
  (D-1.e).

`usage_mode: single` is a further way: there is no second subflow while one works (D-1.m3). A rule's setting goes
before that of the subscriber, that before the one of the class, and that before the policy's own `distribution`
(N-5.6.2c).

* rules 20,000; subscribers 50,000; classes and applications 1024 each; values of one list 1024.
"""

from typing import Annotated, Any

from pydantic import Field

from steering.model.policy import (
    Action,
    Authentication,
    Denial,
    Distribution,
    Expectation,
    Fallback,
    Insertion,
    Mode,
    UsageMode,
)
from steering.policy.language.fields import ListOrItem, Name, WordedEnum
from steering.policy.language.rule_fields import (
    MINUTES_A_DAY,
    AccessType,
    AccessTypes,
    Clock,
    DaysOfWeek,
    Directions,
    Dscps,
    IpVersions,
    MptcpVersions,
    Names,
    Networks,
    Origins,
    SomePorts,
    Transports,
    Trusts,
)
from steering.policy.language.validate import EmptyMapping, StrictModel

EVERY_DAY = frozenset(range(1, 8))
_EMPTY: Any = Field(default_factory=list)

Weight = Annotated[float, Field(ge=0, le=1000)]
Stretch = Annotated[float, Field(ge=1, le=1000)]
Hysteresis = Annotated[float, Field(ge=0, le=1)]
Subflows = Annotated[int, Field(ge=1, le=64)]
Sessions = Annotated[int, Field(ge=0, le=1_000_000)]
Share = Annotated[int, Field(ge=1, le=1000)]
Volume = Annotated[int, Field(ge=1, le=10**15)]


class QuotasFile(StrictModel):
    """What is not given is not limited here."""

    subflows_per_session: Subflows | None = None
    sessions_per_subscriber: Sessions | None = None
    sessions_per_server: Sessions | None = None
    sessions_per_application: Sessions | None = None
    sessions_per_mcp: Sessions | None = None


class TimeFile(StrictModel):
    days: DaysOfWeek = Field(default_factory=lambda: [EVERY_DAY])
    begin: Clock = Field(default=0, alias="from")
    end: Clock = Field(default=MINUTES_A_DAY, alias="to")


class WhenFile(StrictModel):
    subscriber: Names = _EMPTY
    klass: Names = Field(default_factory=list, alias="class")
    application: Names = _EMPTY
    source: Networks = _EMPTY
    access: Names = _EMPTY
    access_type: AccessTypes = _EMPTY
    trust: Trusts = _EMPTY
    destination: Networks = _EMPTY
    port: SomePorts = _EMPTY
    dscp: Dscps = _EMPTY
    ip_version: IpVersions = _EMPTY
    mptcp_version: MptcpVersions = _EMPTY
    time: Annotated[list[TimeFile], Field(min_length=1, max_length=64), ListOrItem()] = _EMPTY
    direction: Directions = _EMPTY


class RuleWeightsFile(StrictModel):
    """What is not given is the policy's own."""

    location: Weight | None = None
    type: Weight | None = None
    load: Weight | None = None


class PoolingFile(StrictModel):
    allowed: AccessTypes = _EMPTY
    preferred: AccessTypes = _EMPTY
    quota_bytes: Annotated[dict[AccessType, Volume], EmptyMapping] = Field(default_factory=dict)


class ThenFile(StrictModel):
    action: Annotated[Action, WordedEnum()] = Action.PROXY
    deny: Annotated[Denial, WordedEnum()] = Denial.MPTCP
    mode: Annotated[Mode, WordedEnum()] = Mode.TAKE_OVER
    insertion: Annotated[Insertion, WordedEnum()] = Insertion.REACTIVE
    expectation: Annotated[Expectation, WordedEnum()] = Expectation.NONE
    mcps: Names = _EMPTY
    weights: Annotated[RuleWeightsFile, EmptyMapping] | None = None
    hysteresis: Hysteresis | None = None
    max_stretch: Stretch | None = None
    fallback: Annotated[Fallback, WordedEnum()] | None = None
    usage_mode: Annotated[UsageMode, WordedEnum()] = UsageMode.NATIVE
    distribution: Annotated[Distribution, WordedEnum()] | None = None
    pooling: Annotated[PoolingFile, EmptyMapping] = PoolingFile()
    ratio: Annotated[dict[Name, Share], Field(min_length=2, max_length=16)] = Field(default_factory=dict)
    quotas: Annotated[QuotasFile, EmptyMapping] = QuotasFile()
    authentication: Annotated[Authentication, WordedEnum()] = Authentication.TOKEN
    transports: Transports = Field(default_factory=lambda: ["tcp"])
    terminate_only: Origins = _EMPTY


class RuleFile(StrictModel):
    name: Name
    when: Annotated[WhenFile, EmptyMapping] = WhenFile()
    then: Annotated[ThenFile, EmptyMapping]


class SubscriberFile(StrictModel):
    id: Name
    klass: Name = Field(default="default", alias="class")
    prefixes: Networks = _EMPTY
    quotas: Annotated[QuotasFile, EmptyMapping] = QuotasFile()
    distribution: Annotated[Distribution, WordedEnum()] | None = None


class ClassFile(StrictModel):
    name: Name
    quotas: Annotated[QuotasFile, EmptyMapping] = QuotasFile()
    distribution: Annotated[Distribution, WordedEnum()] | None = None


class ApplicationFile(StrictModel):
    name: Name
    ports: SomePorts = _EMPTY
    destinations: Networks = _EMPTY
    quotas: Annotated[QuotasFile, EmptyMapping] = QuotasFile()
