"""The site as its file says it, and the MCPs that were registered at run time, which outlive the controller (D-6.7.7).

Registered MCPs are kept in the state directory (`mcps.json`), in the site file's own shape. The numbers of all waypoints
and MCPs are kept beside them (`numbers.json`). When the controller starts again, an MCP that the site file names is as
the file says, whatever was changed by REST meanwhile. So an operator who has written a registered MCP into the file has
the last word about it.
"""

import json
import logging
from typing import Any

from steering.model.network import Site
from steering.model.numbers import Numbers
from steering.policy.language.document import load_text, read_document
from steering.policy.language.findings import Finding
from steering.policy.site_file import parse_site
from steering.policy.site_mcps import of_site, with_mcps
from steering.store.interface import Store
from steering.store.json_text import damaged, read_json
from steering.store.numbers import read_numbers, write_numbers

Json = dict[str, Any]
KEPT = "mcps.json"
ADVICE = "restore it, or remove it and register its MCPs again"

log = logging.getLogger(__name__)


class DeclaredSite:
    """The site in force. `data`: the site file's contents; `mcps`: the current MCPs, in the file's shape; `site`: both
    together as a record."""

    def __init__(
        self, data: Json, site: Site, mcps: list[Json], store: Store, numbers: Numbers | None = None
    ) -> None:
        self.data = data
        self.site = site
        self.mcps = mcps
        self._store = store
        self._numbers = numbers  # the numbers on disk
        self._of_file = {one["name"] for one in data["mcps"]}

    def outlives(self, name: str) -> bool:
        """Whether a change of an MCP by REST will still hold when the controller starts again."""
        return name not in self._of_file

    def replace(self, mcps: list[Json], site: Site) -> None:
        """Set the current MCPs. They are written to disk first, so that REST never confirms MCPs that are not kept.
        Raises StateError."""
        self.keep_numbers(site)
        kept = [one for one in mcps if self.outlives(one["name"])]
        if kept != [one for one in self.mcps if self.outlives(one["name"])]:
            self._store.write(KEPT, json.dumps(kept))
        self.mcps, self.site = mcps, site

    def keep_numbers(self, site: Site | None = None) -> None:
        """Write the numbers of `site`, or of the site in force, where they differ from those on disk. To be called before
        any switch gets rules with these numbers. Raises StateError."""
        numbers = (site or self.site).numbers
        if numbers != self._numbers:
            write_numbers(self._store, numbers)
            self._numbers = numbers


def declare(path: str, store: Store) -> tuple[DeclaredSite | None, list[str]]:
    """The site of the file `path` with the registered MCPs, and the findings as lines. The site is None where there are
    findings. Raises StateError for a kept file that cannot be read."""
    text, findings = load_text(path)
    if text is None:
        return None, _lines(findings)
    numbers = read_numbers(store)
    site, findings = parse_site(text, path, numbers)
    data = read_document(text, path).data
    if site is None or data is None:
        return None, _lines(findings)
    found = DeclaredSite(data, site, list(data["mcps"]), store, numbers)
    kept = _kept(store, found)
    if not kept:
        return found, []
    mcps = [*found.mcps, *kept]
    merged, problems = with_mcps(data, mcps, numbers)
    if merged is None:
        return None, [
            f"{path} with the MCPs of {KEPT}: {of_site(one).path}: {one.message}" for one in problems
        ]
    found.mcps, found.site = mcps, merged
    return found, []


def _kept(store: Store, file: DeclaredSite) -> list[Json]:
    """The registered MCPs that were kept. Raises StateError for a file that is no list of MCPs."""
    told = read_json(store, KEPT, ADVICE)
    if told is None:
        return []
    if not isinstance(told, list) or not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in told
    ):
        raise damaged(KEPT, ADVICE)
    for one in told:
        if not file.outlives(one["name"]):
            log.info("MCP %s is as the site file says, not as it was registered", one["name"])
    return [one for one in told if file.outlives(one["name"])]


def _lines(findings: list[Finding]) -> list[str]:
    return [str(finding) for finding in findings]
