"""A site with capacities and one subscriber, and how its agent asks for reservations."""

from dataclasses import replace
from ipaddress import ip_network

from steering.core.inputs import (
    Reserve,
)
from steering.model.policy import Policy, Reservations, Subscriber
from steering.model.reservation import Level, ReservationRefusal, ReservationRequest
from tests.support.sites import (
    Driver,
    link,
    off_path_site,
)
from tests.support.switched import Lab

MEGA = 1_000_000
ANNA = Subscriber("anna", "default", (ip_network("10.1.0.0/30"), ip_network("10.2.0.0/30")))
POLICY = Policy(subscribers=(ANNA,), reservations=Reservations(share=1.0, subflows=4, subflow_pool=6))


def wide(a: str, b: str, mbit: int, weight: float = 1.0):
    return replace(link(a, b, weight), capacity=mbit * MEGA)


def site():
    """The usual one with capacities; s1 also reaches s3 by s6, a longer way."""
    links = (
        wide("1:2", "3:2", 20), wide("3:3", "4:2", 100), wide("2:2", "4:3", 100), wide("4:4", "5:2", 100),
        wide("1:3", "6:1", 6), wide("6:2", "3:4", 6),
    )  # fmt: skip
    return off_path_site(links=links, switches={f"s{n}": n for n in range(1, 7)})


def ask(driver: Driver, name: str, wish: ReservationRequest) -> ReservationRefusal | None:
    apply(driver, driver.give(Reserve(name, wish)))
    verdict = driver.engine.reserving.verdict
    assert verdict.id == name
    return verdict.denied


def apply(driver: Driver, outputs) -> None:
    if isinstance(driver, Lab):
        driver.network.apply(list(outputs))


def rate(session, mbit: float, **more) -> ReservationRequest:
    return ReservationRequest(Level.SESSION, session=session.id, rate=int(mbit * MEGA), **more)


def held(driver: Driver, name: str):
    return driver.engine.reserving.by_id[name]


def sessions(lab: Lab, count: int):
    return [lab.session(sport=40_000 + number, key=number.to_bytes(8, "big")) for number in range(count)]
