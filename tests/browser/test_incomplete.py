"""Sessions of a controller that does not answer: the page says whose are missing, as long as they are."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from steering.model.cluster import PeerFailure
from steering.northbound.resources.member_events import SELDOM
from tests.support.browser import PHONE, Chromium, Visit
from tests.support.live_page import LivePage
from tests.support.other_controller import OtherController

Open = Callable[..., Visit]
MISSING = "Not all sessions are here: controller b does not answer."


@pytest.fixture
def other() -> OtherController:
    return OtherController()


@pytest.fixture
def live(browser: Chromium, other: OtherController) -> Iterator[LivePage]:
    """One session, at one of two controllers."""
    with LivePage(peers=other).served(browser.listening()) as found:
        found.aggregated()
        yield found


def test_who_does_not_answer_is_named_until_it_does(
    visit: Open, live: LivePage, other: OtherController
) -> None:
    other.why = PeerFailure.SILENT
    page = visit().inside()
    told, happened = page.locator("#incomplete"), page.locator("#panel-events")
    expect(told).to_have_text(MISSING)
    expect(told).to_have_attribute("role", "status")
    expect(page.locator(".row")).to_have_count(1)
    found: Any = Axe().run(page).response["violations"]
    assert found == []
    page.click("#tab-events")
    expect(happened).to_contain_text("controller b is not heard: silent")
    other.why = None
    for _ in range(SELDOM + 1):
        live.look()
    expect(happened).to_contain_text("controller b is heard again")
    expect(told).to_have_text("")


def test_on_a_phone_it_is_wide_enough_and_it_goes_with_its_reader(
    visit: Open, live: LivePage, other: OtherController
) -> None:
    other.why = PeerFailure.SILENT
    page = visit(viewport=PHONE, has_touch=True, is_mobile=True).inside()
    expect(page.locator("#incomplete")).to_have_text(MISSING)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.click("#leave")
    expect(page.locator("#incomplete")).to_have_text("")


def test_of_a_cluster_that_answers_nothing_is_said(visit: Open, live: LivePage) -> None:
    page = visit().inside()
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator("#incomplete")).to_have_text("")
