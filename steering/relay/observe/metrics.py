"""Writes a relay's status document as Prometheus text, for a collector that reads files or commands (textfile, exec).

The names are those of the document. No session, address or token is among them (N-7.1).
"""

from collections.abc import Iterator
from typing import Any

PREFIX = "steering_relay"
GAUGES = ("active",)


def text(document: dict[str, Any]) -> str:
    """The counters of the relay and of the kernel's MPTCP, and the numbers of live things."""
    return "".join(line + "\n" for line in _lines(document))


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for name, value in sorted(document["counters"].items()):
        if name in GAUGES:
            yield from _family(f"{PREFIX}_{name}", "gauge", value)
        else:
            yield from _family(f"{PREFIX}_{name}_total", "counter", value)
    kernel = f"{PREFIX}_kernel_total"
    yield f"# TYPE {kernel} counter"
    for name, value in sorted(document["kernel"].items()):
        if name.isascii() and name.isalnum():
            yield f'{kernel}{{counter="{name}"}} {value}'


def _family(name: str, kind: str, value: int) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    yield f"{name} {value}"
