"""Compiles a checked policy file to the frozen records of `steering.model.policy`."""

from steering.model.policy import (
    Action,
    AlarmTerms,
    Application,
    Distribution,
    Limits,
    Logging,
    Meters,
    Policy,
    PolicyRule,
    Pooling,
    Quotas,
    Reservations,
    RuleConditions,
    Subscriber,
    SubscriberClass,
    Terms,
    Timers,
    TimeWindow,
    UsageMode,
    Weights,
)
from steering.policy.language.fields import merged
from steering.policy.rules.policy_schema import PolicyFile
from steering.policy.rules.rule_schema import (
    ApplicationFile,
    QuotasFile,
    RuleFile,
    RuleWeightsFile,
    SubscriberFile,
    ThenFile,
    TimeFile,
    WhenFile,
)


def compiled(file: PolicyFile) -> Policy:
    """The compiled policy of a file."""
    weights = Weights(**file.selection.weights.model_dump())
    return Policy(
        version=file.policy,
        eligible_ports=merged(file.eligible.ports),
        weights=weights,
        max_stretch=float(file.selection.max_stretch),
        hysteresis=float(file.selection.hysteresis),
        avoid_sick=file.selection.avoid_sick,
        limits=Limits(**file.limits.model_dump()),
        timers=Timers(**file.timers.model_dump()),
        meters=Meters(**file.meters.model_dump()),
        quotas=Quotas(**file.quotas.model_dump()),
        logging=Logging(**file.logging.model_dump()),
        alarms=AlarmTerms(**file.alarms.model_dump()),
        reservations=Reservations(**file.reservations.model_dump()),
        unknown_join=file.unknown_join,
        refusal=file.refusal,
        unknown_option=file.options.unknown,
        over_limit=file.over_limit,
        fallback=file.fallback,
        third_party_pooling=file.third_party_pooling,
        avoid_fragmentation=file.avoid_fragmentation,
        foreign_mcps=file.foreign_mcps,
        mcp_presence=file.mcp_presence,
        controller_loss=file.controller_loss,
        marker_ports=merged(file.marker.source_ports),
        keep_keys=file.keep_keys,
        authorization=file.authorization.compiled(),
        acl=tuple(entry.compiled() for entry in file.acl),
        cpe_acl=file.cpe_acl.compiled(),
        distribution=file.distribution,
        rules=tuple(_rule(rule, weights) for rule in file.rules),
        subscribers=tuple(_subscriber(item) for item in file.subscribers),
        classes=tuple(
            SubscriberClass(item.name, _quotas(item.quotas), item.distribution) for item in file.classes
        ),
        applications=tuple(_application(item) for item in file.applications),
    )


def _rule(file: RuleFile, own: Weights) -> PolicyRule:
    return PolicyRule(file.name, _when(file.when), _terms(file.then, own))


def _when(file: WhenFile) -> RuleConditions:
    return RuleConditions(
        subscribers=frozenset(file.subscriber),
        classes=frozenset(file.klass),
        applications=frozenset(file.application),
        sources=tuple(file.source),
        access_networks=frozenset(file.access),
        access_types=frozenset(file.access_type),
        trusts=frozenset(file.trust),
        destinations=tuple(file.destination),
        ports=merged(file.port),
        dscp=frozenset(file.dscp),
        ip_versions=frozenset(file.ip_version),
        mptcp_versions=frozenset(file.mptcp_version),
        times=tuple(_window(time) for time in file.time),
        directions=frozenset(file.direction),
    )


def _window(file: TimeFile) -> TimeWindow:
    return TimeWindow(frozenset().union(*file.days), file.begin, file.end)


def _terms(file: ThenFile, own: Weights) -> Terms:
    action = file.action
    if action is Action.PROXY and not file.transports:
        action = Action.BYPASS  # N-5.6.6c: no transport may be relayed
    return Terms(
        action=action,
        deny=file.deny,
        mode=file.mode,
        insertion=file.insertion,
        expectation=file.expectation,
        mcps=frozenset(file.mcps),
        weights=_weights(file.weights, own),
        hysteresis=file.hysteresis,
        max_stretch=file.max_stretch,
        fallback=file.fallback,
        usage_mode=file.usage_mode,
        distribution=_distribution(file),
        pooling=Pooling(
            allowed=frozenset(file.pooling.allowed),
            preferred=tuple(dict.fromkeys(file.pooling.preferred)),
            quota_bytes=tuple(sorted(file.pooling.quota_bytes.items())),
        ),
        ratio=tuple(sorted(file.ratio.items())),
        quotas=_quotas(file.quotas),
        authentication=file.authentication,
        transports=tuple(dict.fromkeys(file.transports)),
        terminate_only=frozenset(file.terminate_only),
    )


def _distribution(file: ThenFile) -> Distribution | None:
    """The distribution of a rule, given by itself or by another key that implies it. None: that of the subscriber or
    policy."""
    if file.distribution is not None:
        return file.distribution
    if file.ratio:
        return Distribution.RATIO
    if file.usage_mode is UsageMode.ACTIVE_BACKUP:
        return Distribution.ACTIVE_BACKUP
    return Distribution.LOWEST_RTT if "usage_mode" in file.model_fields_set else None


def _weights(file: RuleWeightsFile | None, own: Weights) -> Weights | None:
    """The weights of a rule. Weights that it does not give are those of the policy."""
    if file is None:
        return None
    return Weights(
        location=own.location if file.location is None else file.location,
        type=own.type if file.type is None else file.type,
        load=own.load if file.load is None else file.load,
    )


def _quotas(file: QuotasFile) -> Quotas:
    return Quotas(**file.model_dump())


def _subscriber(file: SubscriberFile) -> Subscriber:
    return Subscriber(file.id, file.klass, tuple(file.prefixes), _quotas(file.quotas), file.distribution)


def _application(file: ApplicationFile) -> Application:
    return Application(file.name, merged(file.ports), tuple(file.destinations), _quotas(file.quotas))
