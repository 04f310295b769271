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
from steering.store.mappings import FILE, MappingStore
from tests.support.driven import Driven
from tests.support.fixed_view import TOKEN, north
from tests.support.sites import Driver, off_path_site

Json = dict[str, Any]
NOW = 1_800_000_000.0
ANNA = pseudonym(b"k" * 32, "anna")
BERT = pseudonym(b"k" * 32, "bert")
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

    def __init__(self, directory: Path, policy: Policy = POLICY) -> None:
        site = off_path_site()
        core, edge = site.mcps
        shared = replace(
            core, source_modes=SourceModes(SourceMode.SHARED, None), pools=(ip_network("192.0.2.0/28"),)
        )
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
        return self.ask("POST", f"/v1/mcps/{mcp}/mappings", {"mappings": lines}, token)

    def find(self, port: int, at: float | None = None) -> tuple[int, Json]:
        when = "" if at is None else f"&time={at}"
        return self.ask("GET", f"/v1/mappings?ip=192.0.2.1&port={port}{when}")

    def policy(self, logging: Logging) -> None:
        self.driver.give(PolicyReplaced(replace(POLICY, logging=logging)))

    @property
    def size(self) -> int:
        path = self.directory / FILE
        return path.stat().st_size if path.exists() else 0
