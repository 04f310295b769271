"""What there is to draw: also what is lost, with its use; and the ways of a session."""

from steering.core.inputs import LinkDown, PortLoad, SwitchDown
from steering.core.snapshots.drawing import drawing, session_paths
from steering.model.drawing import NetworkPicture
from steering.model.network import PortRef
from tests.support.sites import UE_WLAN, Driver, join


def drawn(driver: Driver) -> NetworkPicture:
    return drawing(driver.engine, driver.now)


def states(found: NetworkPicture) -> dict[str, bool]:
    return {node.id: node.up for node in found.nodes} | {link.name: link.up for link in found.links}


def test_everything_is_there_once() -> None:
    found = drawn(Driver())
    assert [node.id for node in found.nodes] == [
        *(f"switch s{number}" for number in range(1, 6)),
        "access lte", "access wlan", "gateway internet", "mcp core", "mcp edge",
    ]  # fmt: skip
    assert [(link.name, link.between) for link in found.links] == [
        ("s1:2-s3:2", ("s1", "s3")), ("s2:2-s4:3", ("s2", "s4")), ("s3:3-s4:2", ("s3", "s4")), ("s4:4-s5:2", ("s4", "s5")),
    ]  # fmt: skip
    assert all(states(found).values())


def test_what_is_lost_stays_in_its_place_and_is_not_up() -> None:
    driver = Driver()
    driver.give(SwitchDown(5))
    driver.give(LinkDown(PortRef(1, 2), PortRef(3, 2)))
    driver.later(3.0)
    found = states(drawn(driver))
    lost = {name for name, up in found.items() if not up}
    assert {"switch s5", "mcp edge", "s1:2-s3:2"} <= lost
    assert {"switch s1", "access lte", "s3:3-s4:2"} & lost == set()
    assert len(found) == len(states(drawn(Driver())))


def test_use_is_that_of_the_busier_direction() -> None:
    driver = Driver()
    driver.give(PortLoad(1, 2, 0.25))
    driver.give(PortLoad(3, 2, 0.75))
    driver.give(PortLoad(1, 1, 0.5))
    found = drawn(driver)
    assert [link.use for link in found.links] == [0.75, None, None, None]
    assert {node.name: port.use for node in found.nodes for port in node.ports if port.use} == {"lte": 0.5}


def test_a_session_has_natural_and_pinned_ways() -> None:
    driver = Driver()
    session = driver.session()
    driver.syn(2, 1, join(UE_WLAN, 40001))
    paths = session_paths(driver.engine, session)
    assert [(one.access_network, one.natural, one.pinned) for one in paths.subflows] == [
        ("lte", ("s1", "s3", "s4"), ("s1", "s3")),
        ("wlan", ("s2", "s4"), ("s2", "s4", "s3")),
    ]
    assert (paths.mcp, paths.onward) == ("core", ("s3", "s4"))
