"""A good site, as text and as data, for tests to spoil."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from steering.model.network import Site
from steering.policy import Finding, parse_site
from tests.support.policy_files import GOOD

Spoil = Callable[[dict[str, Any]], object]
Parsed = tuple[Site | None, list[Finding]]


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def spoiled() -> Callable[[Spoil], Parsed]:
    """Parse the good site after `change` had its way with the data."""

    def parse(change: Spoil) -> Parsed:
        data: dict[str, Any] = {
            "site": 1,
            "access_networks": [
                {
                    "name": "lte",
                    "type": "cellular",
                    "prefixes": ["10.1.0.0/24", "fd00:1::/64"],
                    "ports": ["s1:1"],
                },
                {"name": "wlan", "type": "wlan", "prefixes": ["10.2.0.0/24"], "ports": ["s2:1"]},
            ],
            "gateways": [{"name": "internet", "prefixes": ["10.9.0.0/24"], "ports": ["s4:1"]}],
            "mcps": [
                {
                    "name": "core",
                    "type": "off-path",
                    "port": "s3:1",
                    "addresses": ["10.8.0.2", "fd00:8::2"],
                    "source_mode": "transparent",
                }
            ],
        }
        change(data)
        return parse_site(json.dumps(data, indent=1), "site.yaml")  # JSON is YAML

    return parse
