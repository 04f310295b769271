"""Policy files: `load_policy`, `parse_policy`."""

from steering.model.policy import Limits, Meters, Policy, Timers, Weights
from steering.policy.document import load_text, read_document
from steering.policy.fields import merged
from steering.policy.findings import Code, Finding, Problem
from steering.policy.policy_schema import PolicyFile
from steering.policy.validate import check, salvage


def load_policy(path: str) -> tuple[Policy | None, list[Finding]]:
    """Read a policy file. Either a policy and no finding, or None and every finding, in the file's order."""
    text, findings = load_text(path)
    return (None, findings) if text is None else parse_policy(text, path)


def parse_policy(text: str, filename: str) -> tuple[Policy | None, list[Finding]]:
    """As `load_policy`, of a text; `filename` is what findings call it."""
    document = read_document(text, filename)
    data = document.data
    if data is None:
        return None, document.report([])
    if "site" in data and "policy" not in data:
        wrong = Problem(("site",), Code.WRONG_FILE, "this is a site file, not a policy file", at_key=True)
        return None, document.report([wrong])
    file, problems = check(PolicyFile, data)
    left = file or salvage(PolicyFile, data, problems, {"policy": 1}).model
    if left is not None:
        problems += _relations(left)
    findings = document.report(problems)
    return (None, findings) if findings or file is None else (_policy(file), [])


def _relations(file: PolicyFile) -> list[Problem]:
    """What two numbers say of each other."""
    if file.limits.half_open <= file.limits.sessions:
        return []
    message = f"half_open ({file.limits.half_open}) is more than sessions ({file.limits.sessions})"
    return [Problem(("limits", "half_open"), Code.LIMITS, message)]


def _policy(file: PolicyFile) -> Policy:
    return Policy(
        version=file.policy,
        eligible_ports=merged(file.eligible.ports),
        weights=Weights(**file.selection.weights.model_dump()),
        max_stretch=float(file.selection.max_stretch),
        hysteresis=float(file.selection.hysteresis),
        limits=Limits(**file.limits.model_dump()),
        timers=Timers(**file.timers.model_dump()),
        meters=Meters(**file.meters.model_dump()),
        unknown_join=file.unknown_join,
        fallback=file.fallback,
    )
