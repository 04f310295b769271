"""The ports of switches as they are told to an operator."""

from steering.core.inputs import PortStatus, SwitchUp
from steering.core.snapshots.ports import ports
from steering.model.port_snapshot import PortSnapshot
from tests.support.sites import Driver, off_path_site


def test_ports_have_the_switchs_names_speeds_and_what_is_there() -> None:
    driver = Driver(off_path_site())
    (attached,) = [port for port in driver.engine.map.attachments if port.dpid == 1]
    free = 40
    names = {attached.port: "lte0", free: "spare"}
    driver.give(SwitchUp(1, {attached.port: True, free: False}, {attached.port: 10_000_000}, names))
    told = ports(driver.engine, "s1")
    assert told.total == 2
    assert told.ports[0] == PortSnapshot("s1", f"s1:{attached.port}", "lte0", True, 10_000_000, "access lte")
    assert told.ports[1] == PortSnapshot("s1", f"s1:{free}", "spare", False, None, None)
    assert ports(driver.engine, "s99").ports == ()


def test_a_port_that_goes_takes_its_name_with_it() -> None:
    driver = Driver(off_path_site())
    driver.give(SwitchUp(1, {40: True}, {}, {40: "a"}))
    driver.give(PortStatus(1, 40, False, True))
    driver.give(PortStatus(1, 41, True, False, "b"))
    assert [(one.port, one.name) for one in ports(driver.engine, "s1").ports] == [("s1:41", "b")]
    for number in range(50, 150):  # a switch may name any number of ports, one after the other
        driver.give(PortStatus(1, number, True, False, f"p{number}"))
        driver.give(PortStatus(1, number, False, True))
    assert set(driver.engine.switches[1].names) == {41}
