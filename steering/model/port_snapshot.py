"""The ports of switches, as records for operators."""

from typing import NamedTuple


class PortSnapshot(NamedTuple):
    """A port of a switch. `port`: as in the site file. `name`: the switch's own name of the port, "" if the switch reports
    none. `speed_kbit`: in kbit/s, None if the switch reports none. `leads_to`: what is attached there by the site file
    or by discovery, such as `access lte` or `link to s3:2`; None for nothing."""

    switch: str
    port: str
    name: str
    up: bool
    speed_kbit: int | None
    leads_to: str | None


class PortsSnapshot(NamedTuple):
    """The first `ports` of `total` ports."""

    ports: tuple[PortSnapshot, ...]
    total: int
