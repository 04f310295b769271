"""How many objects a collection of a controller examines: that is how long everything waits for it."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from steering.runtime import collector

MOST = 30_000  # objects of one collection: some 3 ms
MANY = 250_000  # objects that are made and stay, as while many switches are filled


class Kept:
    """An object that the collector tracks, and never frees."""

    __slots__ = ("before",)

    def __init__(self, before: "Kept | None") -> None:
        self.before = before


@pytest.fixture
def settled() -> Iterator[None]:
    """A controller's collector, for the time of one test."""
    usual = gc.get_threshold()
    gc.collect()
    collector.settle()
    yield
    gc.unfreeze()
    gc.set_threshold(*usual)


def test_no_collection_looks_at_many_objects_that_stay(settled: None) -> None:
    examined: list[int] = []

    def begins(phase: str, about: dict[str, Any]) -> None:
        if phase == "start":
            young = range(about["generation"] + 1)
            examined.append(sum(len(gc.get_objects(generation=one)) for one in young))

    gc.callbacks.append(begins)
    try:
        kept = [Kept(None) for _ in range(MANY)]
    finally:
        gc.callbacks.remove(begins)
    assert len(kept) == MANY and sum(examined) > MANY, "all of them were examined, many of them twice"
    assert max(examined) < MOST
