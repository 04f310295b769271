"""Pictures of the live page, light, dark and on a phone: `python -m tests.browser.screenshots FOLDER`."""

import sys
from pathlib import Path

from playwright.sync_api import expect

from steering.core.inputs import LinkDown, PortLoad
from steering.model.network import PortRef
from tests.support.browser import DESK, PATIENCE, PHONE, Visit, chromium
from tests.support.live_page import LivePage

LOOKS = {
    "page-light": {"viewport": DESK},
    "page-dark": {"viewport": DESK, "color_scheme": "dark"},
    "page-phone": {"viewport": PHONE},
}


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with chromium() as browser, LivePage().served(browser.listening()) as live:
        live.aggregated()
        live.more(40)
        loads = [PortLoad(1, 2, 0.5), PortLoad(3, 3, 0.75), PortLoad(2, 2, 0.95), PortLoad(1, 1, 0.4)]
        live.give(*loads, LinkDown(PortRef(4, 4), PortRef(5, 2)), LinkDown(PortRef(5, 2), PortRef(4, 4)))
        for name, options in LOOKS.items():
            tab = Visit(browser, live, **options)
            page = tab.inside()
            page.fill("#filter-text", ":40000")
            expect(page.locator(".row")).to_have_count(1, timeout=PATIENCE)
            page.click(".row")
            page.wait_for_selector("#why")
            page.fill("#filter-text", "")
            expect(page.locator("#count")).to_have_text("41 sessions", timeout=PATIENCE)
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=folder / f"{name}.png", full_page=name == "page-phone")
            print(folder / f"{name}.png")
            tab.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
