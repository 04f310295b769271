"""The northbound over an engine whose MCP shares addresses, with a store of mappings on disk."""

import json
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from webob import Request

from steering.core.inputs import PolicyReplaced
from steering.core.snapshots.view import EngineView
from steering.model.policy import Logging, Policy, Subscriber
from steering.model.source import SourceMode, SourceModes
from steering.northbound.auth.pseudonyms import pseudonym
from steering.northbound.schema.representation import JsonView
from steering.store.mappings import MappingStore
from tests.support.driven import Driven
from tests.support.fixed_view import TOKEN, north
from tests.support.sites import Driver, off_path_site

Json = dict[str, Any]
NOW = 1_800_000_000.0
ANNA = pseudonym(b"k" * 32, "anna")
BERT = pseudonym(b"k" * 32, "bert")
SHARED = SourceModes(SourceMode.SHARED, None)
POLICY = Policy(
    subscribers=(
        Subscriber("anna", prefixes=(ip_network("10.1.0.2/32"),)),
        Subscriber("bert", prefixes=(ip_network("10.1.0.3/32"),)),
    )
)


def line(internal: str, first: int, begin: float, end: float | None = None, **more: Any) -> Json:
    fields = {"mcp": "core", "internal": internal, "external": "192.0.2.1", "first_port": first}
    return fields | {"last_port": first + 511, "begin": begin, "end": end} | more


class Desk:
    """The northbound over an engine whose MCP `core` shares IPv4 addresses, and a store on disk."""

    def __init__(
        self,
        directory: Path,
        policy: Policy = POLICY,
        modes: SourceModes = SHARED,
        pools: tuple[str, ...] = ("192.0.2.0/28",),
    ) -> None:
        site = off_path_site()
        core, edge = site.mcps
        shared = replace(core, source_modes=modes, pools=tuple(map(ip_network, pools)))
        self.driver = Driver(off_path_site(mcps=(shared, edge)), policy)
        self.directory = directory
        self.apart: list[str] = []  # what was done where it holds up nobody
        view = JsonView(EngineView(self.driver.engine, lambda: self.driver.now, "0"))
        store = MappingStore(directory, lambda: NOW)
        self.application = north(view, None, Driven(self.driver), mappings=store, work=self._work).application

    def _work(self, function: Any, *arguments: Any) -> Any:
        """Where the controller uses a thread."""
        self.apart.append(function.__name__)
        return function(*arguments)

    def ask(self, method: str, path: str, body: Any = None, token: str = TOKEN) -> tuple[int, Json]:
        request = Request.blank(path, method=method, headers={"Authorization": f"Bearer {token}"})
        if body is not None:
            request.content_type, request.body = "application/json", json.dumps(body).encode()
        response = request.get_response(self.application)
        return response.status_code, json.loads(response.body)

    def report(self, *lines: Json, mcp: str = "core", token: str = TOKEN) -> tuple[int, Json]:
        """Reported with an operator's token unless another is given."""
        return self.ask("POST", f"/v1/mcps/{mcp}/mappings", {"mappings": lines}, token)

    def find(self, port: int, at: float | None = None) -> tuple[int, Json]:
        when = "" if at is None else f"&time={at}"
        return self.ask("GET", f"/v1/mappings?ip=192.0.2.1&port={port}{when}")

    def metric(self, series: str) -> float:
        """The value of a series, 0.0 for one that there is none of."""
        request = Request.blank("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        lines = request.get_response(self.application).text.splitlines()
        return next((float(row.split()[-1]) for row in lines if row.startswith(f"{series} ")), 0.0)

    def policy(self, logging: Logging) -> None:
        self.driver.give(PolicyReplaced(replace(POLICY, logging=logging)))

    @property
    def size(self) -> int:
        """Bytes of all mappings that are kept."""
        return sum(path.stat().st_size for path in self.directory.glob("mappings*"))
