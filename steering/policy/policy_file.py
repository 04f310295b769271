"""Reads policy files: `load_policy`, `parse_policy`."""

from collections.abc import Iterator

from steering.model.network import Site
from steering.model.policy import Policy
from steering.policy.checks.authorisation import authorisation_problems
from steering.policy.checks.contradictions import contradiction_problems
from steering.policy.checks.lost_rules import lost_rule_problems
from steering.policy.checks.names import name_problems
from steering.policy.checks.policy_in_site import site_problems
from steering.policy.checks.proactive import proactive_problems
from steering.policy.checks.reach import reach_problems
from steering.policy.checks.shadowing import shadowed
from steering.policy.language.document import load_text, read_document
from steering.policy.language.findings import Code, Finding, PlacelessFinding, quoted
from steering.policy.language.validate import Salvage, check, salvage
from steering.policy.rules.compiler import compiled
from steering.policy.rules.plan import PolicyPlan
from steering.policy.rules.policy_schema import PolicyFile


def load_policy(path: str, site: Site | None = None) -> tuple[Policy | None, list[Finding]]:
    """Read a policy file. Returns a policy and no findings, or None and all findings in the file's order.

    With a `site`, there are also findings about unknown MCPs and access networks, and about rules that no MCP can
    serve.
    """
    text, findings = load_text(path)
    return (None, findings) if text is None else parse_policy(text, path, site)


def parse_policy(text: str, filename: str, site: Site | None = None) -> tuple[Policy | None, list[Finding]]:
    """Like `load_policy`, for a text. `filename`: its name in findings."""
    document = read_document(text, filename)
    data = document.data
    if data is None:
        return None, document.report([])
    if "site" in data and "policy" not in data:
        wrong = PlacelessFinding(
            ("site",), Code.WRONG_FILE, "this is a site file, not a policy file", at_key=True
        )
        return None, document.report([wrong])
    file, problems = check(PolicyFile, data)
    left = Salvage(file, {}, set()) if file else salvage(PolicyFile, data, problems, {"policy": 1})
    plan = None
    if left.model is not None:
        # A section that is an alias counts as lost, like one that the schema refused.
        lost = left.lost | {str(path[0]) for path in document.broken if path}
        plan = PolicyPlan(left.model, compiled(left.model), left.numbers, lost)
        problems += _relations(plan, site)
        problems += lost_rule_problems(plan, data, site)
    findings = document.report(problems)
    return (None, findings) if findings or plan is None else (plan.policy, [])


def _relations(plan: PolicyPlan, site: Site | None) -> Iterator[PlacelessFinding]:
    """Findings about how the parts of a policy fit together, and fit the site."""
    yield from name_problems(plan)
    yield from contradiction_problems(plan)
    yield from reach_problems(plan)
    yield from proactive_problems(plan)
    rules = plan.policy.rules
    for number, earlier in shadowed(plan.policy):
        message = f"rule {quoted(rules[number].name)} is never reached: rule {quoted(rules[earlier].name)} before it accepts all that it does"
        yield PlacelessFinding(plan.path("rules", number), Code.SHADOWED_RULE, message)
    if site is not None:
        yield from authorisation_problems(plan.policy, site)
        for problem in site_problems(plan.policy, site):
            path = plan.path("rules", int(problem.path[1]), *problem.path[2:])
            yield PlacelessFinding(path, problem.code, problem.message, problem.suggestion)
