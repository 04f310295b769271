"""Findings about authorisation in a site: access networks that do not exist, and authorisers without an address."""

from collections.abc import Iterator

from steering.model.authorisation import Authorizer
from steering.model.network import Site
from steering.model.policy import Policy
from steering.policy.language.findings import Code, Path, PlacelessFinding, nearest, quoted


def authorisation_problems(policy: Policy, site: Site) -> Iterator[PlacelessFinding]:
    """All these findings, with paths as in the policy file."""
    known = {access.name for access in site.access_networks}
    chain = policy.authorization
    yield from _unknown(("authorization", "required"), chain.required, known, "authorization")
    for index, entry in enumerate(policy.acl):
        yield from _unknown(
            ("acl", index, "access"), entry.access_networks, known, f"entry {quoted(entry.name)}"
        )
    reachable = {Authorizer.HTTP: site.aaa.http, Authorizer.RADIUS: site.aaa.radius}
    for index, who in enumerate(chain.authorizers):
        if who.is_remote and reachable[who] is None:
            message = f"authorization: the site does not say where {who} is asked: it needs aaa.{who}"
            yield PlacelessFinding(("authorization", "authorizers", index), Code.UNKNOWN_AUTHORIZER, message)
    for who in sorted(chain.fail_open - set(chain.authorizers)):
        message = f"authorization: {who} may fail open, and is not among the authorizers"
        yield PlacelessFinding(("authorization", "fail_open"), Code.CONTRADICTION, message)


def _unknown(path: Path, names: frozenset[str], known: set[str], who: str) -> Iterator[PlacelessFinding]:
    for name in sorted(names - known):
        message = f"{who}: no access network is called {quoted(name)}"
        yield PlacelessFinding((*path, name), Code.UNKNOWN_ACCESS, message, nearest(name, known))
