"""The live page of a controller that runs, in Chromium: what is drawn is what REST says, a change arrives, and a reader may not act.

    python -m tests.support.seen_page TOKEN

TOKEN: a reader's. It runs where the controller does, and needs a session of two subflows there. It prints a line, or fails.
"""

import argparse
import sys

from playwright.sync_api import Browser, Page, expect, sync_playwright

from steering.cli import client, state_dirs
from tests.support.browser import ARGUMENTS, CHROMIUM, DESK, PATIENCE


def entered(browser: Browser, url: str, token: str) -> Page:
    """The page, signed in, its stream open and the network drawn."""
    page = browser.new_page(viewport=DESK)  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE)
    page.goto(f"{url}/ui/")
    page.fill("#token", token)
    page.click("#login button")
    page.wait_for_selector("#link[data-state=live]")
    page.wait_for_selector(".node")
    return page


def look(browser: Browser, controller: client.ControllerClient, operator: str, reader: str) -> str:
    """Compare the page with REST. Raises AssertionError."""
    page = entered(browser, controller.url, operator)
    layout = controller.get("topology", "layout")
    drawn = page.locator(".node").evaluate_all("found => found.map(one => one.dataset.id)")
    assert sorted(drawn) == sorted(node["id"] for node in layout["nodes"]), drawn
    found = controller.get("sessions", state="established")["sessions"]
    (number,) = [one["id"] for one in found if one["subflows"] == 2]
    session = controller.get("sessions", number)
    page.fill("#filter-text", session["client"])
    page.click(".row")
    expect(page.locator("#why")).to_contain_text("It aggregates")
    expect(page.locator(".way.pinned")).to_have_count(2)
    accesses = page.locator("[role=region][aria-label='Subflows'] tbody td:nth-child(4)").all_inner_texts()
    assert [one.strip() for one in accesses] == [one["access_network"] for one in session["subflows"]]
    mcp = page.locator(f"[data-id='mcp {session['mcp']}']")
    controller.request("POST", ["mcps", session["mcp"], "drain"])
    expect(mcp).to_have_attribute("data-health", "draining")
    controller.request("POST", ["mcps", session["mcp"], "undrain"])
    expect(mcp).not_to_have_attribute("data-health", "draining")
    other = entered(browser, controller.url, reader)
    expect(other.locator("#role")).to_have_text("reader")
    other.click("#tab-mcps")
    expect(other.locator(".mcp.card")).not_to_have_count(0)
    expect(other.locator(".mcp.card button")).to_have_count(0)
    return f"page: {len(drawn)} places, a session of 2 subflows, a drain, and a reader who may not"


def main(arguments: list[str]) -> int:
    (reader,) = arguments
    where = argparse.Namespace(url=None, token_file=None, state_dir=None, ca_file=None, client_cert=None)
    controller = client.find(where)
    operator = state_dirs.text_of(state_dirs.default_state_dir() / "token")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=2 * PATIENCE)
        print(look(browser, controller, operator, reader))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
