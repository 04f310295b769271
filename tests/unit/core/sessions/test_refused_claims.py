"""A claim of an address that was refused a moment ago changes nothing, however often it is repeated."""

from dataclasses import replace

from steering.core.network.address_claims import REFUSED_FOR
from steering.core.packet_inputs import NeighbourSeen
from steering.model.network import PortRef, Site
from tests.support.sites import KEY, UE_LTE, Driver, link, off_path_site, packed, steered

VICTIM, THIEF = bytes.fromhex("020000000001"), bytes.fromhex("02000000beef")


def two_cells() -> Site:
    """The LTE network has a second port, at s2."""
    site = off_path_site()
    lte = replace(site.access_networks[0], ports=(PortRef(1, 1), PortRef(2, 7)))
    return replace(
        site, access_networks=(lte, site.access_networks[1]), links=(*site.links, link("2:9", "3:9"))
    )


def test_it_puts_no_entries_at_the_claimed_place() -> None:
    """Or a neighbour's ARPs would put and remove a victim's entries, thousands at a time, as often as it likes."""
    driver = Driver(two_cells())
    driver.session(key=KEY)
    driver.give(NeighbourSeen(1, 1, packed(UE_LTE), VICTIM))
    changed = []
    for _ in range(20):  # within less than REFUSED_FOR
        changed += driver.give(NeighbourSeen(2, 7, packed(UE_LTE), THIEF))
        changed += driver.give(NeighbourSeen(1, 1, packed(UE_LTE), VICTIM))
        driver.later(REFUSED_FOR / 50)
    assert sum(len(one.entries) for one in changed if hasattr(one, "entries")) == 2, "put once, removed once"
    driver.later(REFUSED_FOR)
    again = driver.give(NeighbourSeen(2, 7, packed(UE_LTE), THIEF))
    assert steered(again).entries, "a later claim counts again"
