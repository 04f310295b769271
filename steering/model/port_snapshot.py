"""A port of a switch as it is told to an operator."""

from typing import NamedTuple


class PortSnapshot(NamedTuple):
    """`port`: as a site file writes it. `name`: the switch's own, empty where it tells none. `speed_kbit`: None where
    the switch does not tell it. `leads_to`: what is there by the site file or by discovery, `access lte` or
    `link to s3:2`; None for nothing."""

    switch: str
    port: str
    name: str
    up: bool
    speed_kbit: int | None
    leads_to: str | None


class PortsSnapshot(NamedTuple):
    """`total`: how many ports there are, of which `ports` are the first."""

    ports: tuple[PortSnapshot, ...]
    total: int
