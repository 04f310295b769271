"""One browser for all tests of the page, a page of its own for each."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.browser import PATIENCE, Chromium, Visit, chromium
from tests.support.live_page import LivePage


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    expect.set_options(timeout=PATIENCE)
    with chromium() as found:
        yield found


@pytest.fixture
def live(browser: Chromium) -> Iterator[LivePage]:
    """The lab's network; one session of two subflows."""
    with LivePage().served(browser.listening()) as found:
        found.aggregated()
        yield found


@pytest.fixture
def visit(browser: Chromium, live: LivePage) -> Iterator[Callable[..., Visit]]:
    """Opens a tab; at the end none of them had a fault."""
    opened: list[Visit] = []

    def open_tab(**options: Any) -> Visit:
        opened.append(Visit(browser, live, **options))
        return opened[-1]

    yield open_tab
    for one in opened:
        one.close()
    assert [one.faults for one in opened if one.faults] == []
