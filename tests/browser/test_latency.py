"""How long a change takes to be seen, by the page's own clock."""

from collections.abc import Callable
from statistics import median

import pytest
from playwright.sync_api import expect

from steering.core.inputs import LinkDown, LinkUp
from steering.model.network import PortRef
from steering.northbound.resources.watcher import PERIOD
from tests.support.browser import Visit
from tests.support.live_page import LivePage

Open = Callable[..., Visit]
ROUNDS = 10
WITHIN_S = 1.0  # from what happened to what is seen; the controller looks each PERIOD
LINK = "[data-name='s1:2-s3:2']"

# Notes when the stream tells of the link, and in which frame the link is drawn otherwise than before.
CLOCKS = f"""() => {{
  const heard = (window.heardAt = []), drawn = (window.drawnAt = []);
  const parse = JSON.parse;
  JSON.parse = (...given) => {{
    const told = parse(...given);
    if (told?.what === "link" && told.name === "s1:2-s3:2") heard.push(performance.now());
    return told;
  }};
  const use = () => document.querySelector("{LINK}")?.getAttribute("data-use");
  let before = use();
  const frame = () => {{
    const now = use();
    if (now && now !== before) {{ drawn.push(performance.now()); before = now; }}
    requestAnimationFrame(frame);
  }};
  requestAnimationFrame(frame);
}}"""


@pytest.mark.row("D-1.d")
def test_a_change_is_drawn_within_a_second_of_it(visit: Open, live: LivePage) -> None:
    page = visit().inside()
    expect(page.locator(LINK)).to_have_attribute("data-use", "unknown")
    page.evaluate(CLOCKS)
    ends = PortRef(1, 2), PortRef(3, 2)
    for number in range(ROUNDS):
        change, use = (LinkUp, "unknown") if number % 2 else (LinkDown, "lost")
        live.give(change(*ends), change(*reversed(ends)))
        expect(page.locator(LINK)).to_have_attribute("data-use", use)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    heard, drawn = page.evaluate("[window.heardAt, window.drawnAt]")
    assert len(heard) == len(drawn) == ROUNDS
    late = [seen - told for told, seen in zip(heard, drawn, strict=True)]
    assert min(late) >= 0, "drawn because of the event, not before it"
    assert PERIOD + median(late) / 1000 < WITHIN_S, late
