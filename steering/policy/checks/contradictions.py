"""Findings about a policy that contradicts itself, or demands what is impossible."""

from collections.abc import Iterator

from steering.model.policy import Action, Distribution, Mode, Origin, Quotas, UsageMode
from steering.policy.language.findings import Code, PlacelessFinding, quoted
from steering.policy.rules.plan import PolicyPlan
from steering.policy.rules.rule_schema import QuotasFile, RuleFile

# Terms of a rule that have an effect only where an MCP serves.
_OF_AN_MCP = (
    "mcps",
    "insertion",
    "expectation",
    "weights",
    "hysteresis",
    "max_stretch",
    "ratio",
    "usage_mode",
    "distribution",
    "pooling",
    "terminate_only",
)
_SESSIONS = (
    "sessions_per_subscriber",
    "sessions_per_server",
    "sessions_per_application",
    "sessions_per_mcp",
)


def contradiction_problems(plan: PolicyPlan) -> Iterator[PlacelessFinding]:
    """All findings of this module, in no order."""
    limits = plan.file.limits
    if limits.half_open > limits.sessions:
        message = f"half_open ({limits.half_open}) is more than sessions ({limits.sessions})"
        yield PlacelessFinding(("limits", "half_open"), Code.LIMITS, message)
    yield from _quotas(plan)
    yield from _without_shares(plan)
    for index, rule in enumerate(plan.file.rules):
        if Origin.PROXIED in rule.then.terminate_only and not plan.file.marker.source_ports:
            message = (
                f"rule {quoted(rule.name)}: nothing is ever proxied: the policy has no marker.source_ports"
            )
            yield PlacelessFinding(
                plan.path("rules", index, "then", "terminate_only"), Code.CONTRADICTION, message
            )
        for keys, message in _of_rule(rule):
            yield PlacelessFinding(
                plan.path("rules", index, *keys), Code.CONTRADICTION, f"rule {quoted(rule.name)}: {message}"
            )


def _of_rule(rule: RuleFile) -> Iterator[tuple[tuple[str, ...], str]]:
    then = rule.then
    if then.action is not Action.PROXY:
        own = {"action", "deny"} if then.action is Action.DENY else {"action"}
        for key in sorted(then.model_fields_set - own):
            yield ("then", key), f"{key} says nothing where the action is {then.action}"
        return
    if "deny" in then.model_fields_set:
        yield ("then", "deny"), "deny says nothing where the action is proxy"
    if then.mode is Mode.TRANSPARENT:
        for key in _OF_AN_MCP:
            if key in then.model_fields_set:
                yield ("then", key), f"{key} says nothing where the mode is transparent: no MCP serves"
        return
    for key in _SESSIONS:
        if getattr(then.quotas, key) == 0:
            yield ("then", "quotas", key), f"{key} is 0, yet the action is proxy: say 'action: bypass'"
    yield from _usage(rule)
    yield from _pooling(rule)


def _usage(rule: RuleFile) -> Iterator[tuple[tuple[str, ...], str]]:
    """A rule whose `usage_mode`, `ratio` and `distribution` do not agree: all three answer one question (see
    `rule_schema`)."""
    then = rule.then
    scheme, mode = then.distribution, then.usage_mode
    if then.ratio and mode is not UsageMode.NATIVE:
        yield ("then", "ratio"), f"a ratio shares traffic out, and usage mode {mode} does not"
    elif then.ratio and scheme not in (None, Distribution.RATIO):
        yield ("then", "ratio"), f"a ratio shares traffic out, and distribution {scheme} does not"
    elif scheme is Distribution.RATIO and not then.ratio:
        yield ("then", "distribution"), "distribution ratio needs 'ratio', the shares"
    elif scheme is not None and mode is UsageMode.SINGLE:
        yield ("then", "distribution"), "a single subflow is not distributed over accesses"
    elif scheme not in (None, Distribution.ACTIVE_BACKUP) and mode is UsageMode.ACTIVE_BACKUP:
        yield ("then", "distribution"), f"usage mode {mode} is distribution active-backup, not {scheme}"


def _without_shares(plan: PolicyPlan) -> Iterator[PlacelessFinding]:
    """A distribution by ratio without shares. Only rules can give shares, as these name access networks."""
    message = "distribution ratio needs shares: say 'ratio' in a rule"
    file = plan.file
    if file.distribution is Distribution.RATIO:
        yield PlacelessFinding(("distribution",), Code.CONTRADICTION, message)
    lists = (
        ("classes", [item.distribution for item in file.classes]),
        ("subscribers", [item.distribution for item in file.subscribers]),
    )
    for section, schemes in lists:
        for index, scheme in enumerate(schemes):
            if scheme is Distribution.RATIO:
                yield PlacelessFinding(plan.path(section, index, "distribution"), Code.CONTRADICTION, message)


def _pooling(rule: RuleFile) -> Iterator[tuple[tuple[str, ...], str]]:
    pooling = rule.then.pooling
    if not pooling.allowed:
        return
    for kind in pooling.preferred:
        if kind not in pooling.allowed:
            yield ("then", "pooling", "preferred", kind.value), f"{kind} is preferred and not allowed"
    for kind in pooling.quota_bytes:
        if kind not in pooling.allowed:
            yield ("then", "pooling", "quota_bytes", kind.value), f"{kind} has a quota and is not allowed"


def _quotas(plan: PolicyPlan) -> Iterator[PlacelessFinding]:
    """Quotas that never count because they are above the quota for everybody: of all quotas that apply the least counts
    (T-9)."""
    if plan.lost & {"quotas", "limits"}:
        return
    file, subflows = plan.file, plan.file.limits.subflows_per_session
    everybody = Quotas(**file.quotas.model_dump())
    for key, message in _unreachable("quotas", everybody, Quotas(), subflows):
        yield PlacelessFinding(("quotas", key), Code.LIMITS, message)
    lists = (
        ("classes", "class", [(item.name, item.quotas) for item in file.classes], ("quotas",)),
        ("subscribers", "subscriber", [(item.id, item.quotas) for item in file.subscribers], ("quotas",)),
        ("applications", "application", [(i.name, i.quotas) for i in file.applications], ("quotas",)),
        ("rules", "rule", [(i.name, i.then.quotas) for i in file.rules], ("then", "quotas")),
    )
    for section, noun, items, keys in lists:
        for index, (name, quotas) in enumerate(items):
            if not quotas.model_fields_set:
                continue
            for key, message in _unreachable(f"{noun} {quoted(name)}", quotas, everybody, subflows):
                yield PlacelessFinding(plan.path(section, index, *keys, key), Code.LIMITS, message)
    yield from _of_classes(plan)


def _unreachable(
    title: str, quotas: QuotasFile | Quotas, everybody: Quotas, subflows: int
) -> Iterator[tuple[str, str]]:
    for key in ("subflows_per_session", *_SESSIONS):
        own, wide, whose = getattr(quotas, key), getattr(everybody, key), "quotas"
        if key == "subflows_per_session" and (wide is None or wide > subflows):
            wide, whose = subflows, "limits"
        if own is not None and wide is not None and own > wide:
            yield key, _never(title, key, own, wide, whose)


def _of_classes(plan: PolicyPlan) -> Iterator[PlacelessFinding]:
    """A subscriber's own quota above that of its class."""
    classes = {item.name: item.quotas for item in plan.file.classes}
    for index, item in enumerate(plan.file.subscribers):
        own, wide = item.quotas.sessions_per_subscriber, None
        if item.klass in classes:
            wide = classes[item.klass].sessions_per_subscriber
        if own is not None and wide is not None and own > wide:
            title, key = f"subscriber {quoted(item.id)}", "sessions_per_subscriber"
            message = _never(title, key, own, wide, f"class {quoted(item.klass)}")
            yield PlacelessFinding(plan.path("subscribers", index, "quotas", key), Code.LIMITS, message)


def _never(title: str, key: str, own: int, wide: int, whose: str) -> str:
    return f"{title}: {key} {own} never counts, {wide} of {whose} is less"
