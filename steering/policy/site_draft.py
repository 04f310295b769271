"""Writes a site file from an operator's answers about the ports of the connected switches (`steering init`).

The answers are a YAML document of their own. A port is named in it by the switch's own name of the port (`s1-eth1`), by
the switch and that name (`s1:s1-eth1`), or as in a site file (`s1:1`).
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import yaml

MOST_ANSWERS = 1 << 20  # characters

_PARTS = {
    "access_networks": {"name", "type", "trust", "prefixes", "ports"},
    "gateways": {"name", "prefixes", "ports", "next_hops"},
    "mcps": {"name", "type", "port", "addresses", "source_mode", "capacity_sessions", "probe"},
}
_NEEDED = {
    "access_networks": ("name", "prefixes", "ports"),
    "gateways": ("name", "prefixes", "ports"),
    "mcps": ("name", "port", "addresses"),
}
_WHY = {
    "access_networks": "# where hosts come from",
    "gateways": "# where servers are",
    "mcps": "# the proxies",
}
_COMMENTS = {
    "type": "# cellular, wlan, fixed, satellite or other",
    "trust": "# operator or third-party: joins from a third party's network are checked more",
    "source_mode": "# whose address servers see (docs/source-modes.rst)",
    "interception": "# the controller leads traffic to it",
}


class DraftPort(NamedTuple):
    """A port of a connected switch. `name`: the switch's own name of the port."""

    switch: str
    number: int
    name: str
    up: bool

    @property
    def written(self) -> str:
        """The port as a site file writes it."""
        return f"{self.switch}:{self.number}"


class DraftError(ValueError):
    """A mistake in the answers; the text is one line."""


def read_answers(text: str) -> dict[str, list[dict[str, Any]]]:
    """The answers: section -> items. Raises DraftError for a text that is not of this form."""
    if len(text) > MOST_ANSWERS:
        raise DraftError(f"the answers have more than {MOST_ANSWERS} characters")
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        where = getattr(error, "problem_mark", None)
        raise DraftError(f"line {where.line + 1}: no YAML" if where else "no YAML") from None
    if not isinstance(data, dict) or not set(data) <= set(_PARTS):
        raise DraftError(f"a mapping of {', '.join(_PARTS)} is wanted")
    for part, items in data.items():
        for item in items if isinstance(items, list) else [None]:
            if not isinstance(item, dict):
                raise DraftError(f"{part}: a list of mappings is wanted")
            if strange := sorted(map(str, set(item) - _PARTS[part])):
                raise DraftError(
                    f"{part}: no key '{strange[0]}'; there are {', '.join(sorted(_PARTS[part]))}"
                )
            if missing := [key for key in _NEEDED[part] if not item.get(key)]:
                raise DraftError(f"{part}: '{missing[0]}' is needed")
    return {part: list(data.get(part) or []) for part in _PARTS}


def find_port(said: Any, ports: Sequence[DraftPort]) -> DraftPort:
    """The port that an answer names. Raises DraftError where there is none, or more than one."""
    found = [
        one for one in ports if str(said) in (one.name, one.written, f"{one.switch}:{one.name}") and str(said)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise DraftError(f"several switches have a port '{said}': write {found[0].switch}:{said}")
    known = ", ".join(one.name or one.written for one in ports[:12])
    raise DraftError(f"no switch told of a port '{said}'; there are {known or 'none'}")


def site_text(
    answers: dict[str, list[dict[str, Any]]], ports: Sequence[DraftPort], switches: dict[str, int]
) -> str:
    """The text of the site file. `switches`: name -> datapath id. Raises DraftError for a port that no connected switch has,
    or that two items name."""
    lines = [
        "# Written by `steering init`. `steering check --site FILE` tells every mistake.",
        "site: 1",
        "",
        "switches:  # names for datapath ids",
        *(f"  {name}: {dpid:#x}" for name, dpid in switches.items()),
    ]
    taken: Counter[str] = Counter()
    for part, items in answers.items():
        if not items:
            continue
        lines += ["", f"{part}:  {_WHY[part]}"]
        for item in items:
            lines += _item(part, item, ports, taken)
    twice = [written for written, count in taken.items() if count > 1]
    if twice:
        raise DraftError(f"port {twice[0]} is said to be two things")
    return "\n".join(lines) + "\n"


def _item(part: str, item: dict[str, Any], ports: Sequence[DraftPort], taken: Counter[str]) -> Iterable[str]:
    said = dict(item)
    where = _listed(said.pop("ports", None) or said.pop("port", None))
    there = [find_port(one, ports) for one in where]
    taken.update(one.written for one in there)
    names = ", ".join(one.name for one in there if one.name)
    if part == "mcps":
        said = {"type": "off-path", "source_mode": "transparent"} | said
        sessions = said.pop("capacity_sessions", 10_000)
        said |= {"interception": "steered", "capacity": {"sessions": sessions}}
        spoken = f"port: {there[0].written}"
        if len(there) != 1:
            raise DraftError("an MCP has one port here; write one in line by hand (steering examples)")
    else:
        said = ({"type": "other", "trust": "operator"} if part == "access_networks" else {}) | said
        spoken = f"ports: {_flow([one.written for one in there])}"
    said = {"name": said["name"]} | said
    first, *rest = [
        *(f"{key}: {_flow(_listed(value) if key in _LISTS else value)}{_comment(part, key)}" for key, value in said.items()),
        spoken + (f"  # {names}" if names else ""),
    ]  # fmt: skip
    return [f"  - {first}", *(f"    {line}" for line in rest)]


_LISTS = frozenset({"prefixes", "addresses", "next_hops"})


def _comment(part: str, key: str) -> str:
    if part == "mcps" and key == "type":
        return ""
    return f"  {_COMMENTS[key]}" if key in _COMMENTS else ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value is not None else []


def _flow(value: Any) -> str:
    """A value in YAML's flow style; JSON is YAML."""
    if isinstance(value, list):
        return "[" + ", ".join(_flow(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    text = str(value)
    plain = isinstance(value, int) or (text and all(letter.isalnum() or letter in "_./-" for letter in text))
    return text if plain and not text.startswith("-") else json.dumps(text)
