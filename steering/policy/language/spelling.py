"""Writes values of a policy as its file does, for people who compare two policies."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum

from steering.model.policy import (
    Application,
    Policy,
    PolicyRule,
    RuleConditions,
    Subscriber,
    SubscriberClass,
    Terms,
    TimeWindow,
)
from steering.policy.language.rule_fields import DAYS

# The model's names of fields that have another name in the file.
FILE_NAMES = {
    **{"subscribers": "subscriber", "classes": "class", "applications": "application", "sources": "source"},
    **{"access_networks": "access", "access_types": "access_type", "trusts": "trust", "ports": "port"},
    **{"destinations": "destination", "ip_versions": "ip_version", "mptcp_versions": "mptcp_version"},
    **{"times": "time", "directions": "direction"},
}
_IN_FILE = {"klass": "class", "eligible_ports": "eligible.ports"}
_UNDER_SELECTION = frozenset({"weights", "max_stretch", "hysteresis"})
_LISTS = frozenset({"rules", "subscribers", "classes", "applications"})

FlatSettings = dict[str, str]


def settings(policy: Policy) -> FlatSettings:
    """The policy's own settings: "limits.half_open" -> "10000"."""
    flat: FlatSettings = {}
    for field in fields(policy):
        if (
            field.name in _LISTS or field.name == "version"
        ):  # the version of the format or of the history is no setting
            continue
        prefix = "selection." if field.name in _UNDER_SELECTION else ""
        _add(flat, prefix + _IN_FILE.get(field.name, field.name), getattr(policy, field.name))
    return flat


def conditions_and_terms(item: PolicyRule | Subscriber | SubscriberClass | Application) -> FlatSettings:
    """The fields of a list item: "when.port" -> "443, 5000-6000"."""
    flat: FlatSettings = {}
    for field in fields(item):
        if field.name in ("name", "id"):
            continue
        value = getattr(item, field.name)
        if isinstance(value, RuleConditions):
            for part in fields(value):
                _add(flat, f"when.{FILE_NAMES.get(part.name, part.name)}", getattr(value, part.name))
        elif isinstance(value, Terms):
            for part in fields(value):
                _add(flat, f"then.{part.name}", getattr(value, part.name))
        else:
            _add(flat, _IN_FILE.get(field.name, field.name), value)
    return flat


def _add(flat: FlatSettings, name: str, value: object) -> None:
    if is_dataclass(value) and not isinstance(value, TimeWindow | type):
        for field in fields(value):
            _add(flat, f"{name}.{field.name}", getattr(value, field.name))
    else:
        flat[name] = spelled(value)


def spelled(value: object) -> str:
    """One value as text. Empty values and None are "-"."""
    if value is None:
        return "-"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, TimeWindow):
        return f"{_days(value.days)} {_clock(value.start)}-{_clock(value.end)}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, frozenset):
        return ", ".join(spelled(item) for item in sorted(value)) or "-"
    if isinstance(value, tuple):
        return ", ".join(_item(item) for item in value) or "-"
    return str(value)


def _item(value: object) -> str:
    """An item of a tuple as text. A pair is a range of ports, or a share."""
    if isinstance(value, tuple) and len(value) == 2:
        first, second = value
        if isinstance(first, int) and not isinstance(first, Enum):
            return str(first) if first == second else f"{first}-{second}"
        return f"{spelled(first)}: {spelled(second)}"
    return spelled(value)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _days(days: Iterable[int]) -> str:
    """Days as text: `mon-fri`, `sat, sun`. Three days and more in a row are written as a range."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    words = []
    for run in runs:
        names = [DAYS[day - 1] for day in run]
        words += [f"{names[0]}-{names[-1]}"] if len(run) > 2 else names
    return ", ".join(words)
