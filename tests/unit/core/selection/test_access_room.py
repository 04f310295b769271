"""Which access networks have room: two thresholds, and the fullest port of several."""

from dataclasses import replace

import pytest

from steering.core.selection.access_room import EMPTIER, FULL, AccessRoom
from steering.model.network import PortRef
from tests.support.sites import off_path_site

FIRST, SECOND = PortRef(2, 1), PortRef(4, 9)
WLAN = replace(
    next(one for one in off_path_site().access_networks if one.name == "wlan"), ports=(FIRST, SECOND)
)


def test_between_the_thresholds_an_access_stays_as_it_was() -> None:
    room = AccessRoom()
    assert not room.load("wlan", FULL - 0.01) and not room.is_full("wlan")
    assert room.load("wlan", FULL) and room.is_full("wlan")
    assert not room.load("wlan", EMPTIER) and room.is_full("wlan")
    assert room.load("wlan", EMPTIER - 0.01) and not room.is_full("wlan")
    assert not room.is_full("lte")


@pytest.mark.row("D-1.e")
def test_an_access_is_as_full_as_its_fullest_port() -> None:
    room = AccessRoom()
    assert room.port_load(WLAN, FIRST, 0.9)
    assert not room.port_load(WLAN, SECOND, 0.1) and room.is_full("wlan")
    assert room.port_load(WLAN, FIRST, 0.2) and not room.is_full("wlan")
    assert room.used_ports == {FIRST: 0.2, SECOND: 0.1}
