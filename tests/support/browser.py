"""Debian's Chromium without a window, and the live page in it.

It runs in a network namespace of its own: wherever an interface comes or goes, as beside a lab, Chromium gives up all that
it is loading (ERR_NETWORK_CHANGED). The page is served from a socket of that namespace.
"""

import ctypes
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.fixed_view import TOKEN
from tests.support.live_page import LivePage

CHROMIUM = "/usr/bin/chromium"
# As root it has no sandbox; it opens nothing but our own page.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
PATIENCE = 60_000.0  # milliseconds: a busy machine is slow, and what does not come at all fails all the same
DESK = {"width": 1360, "height": 900}
PHONE = {"width": 390, "height": 844}


CLONE_NEWNET = 0x4000_0000


class Chromium:
    """A browser in the network namespace `name`."""

    def __init__(self, browser: Browser, name: str) -> None:
        self.browser = browser
        self._name = name

    def listening(self) -> socket.socket:
        """A socket that listens on the browser's loopback."""
        made: list[socket.socket] = []

        def make() -> None:
            # Of this thread alone; a socket stays in the namespace where it was made.
            with open(f"/run/netns/{self._name}", "rb") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_server(("127.0.0.1", 0), backlog=64))

        thread = Thread(target=make)
        thread.start()
        thread.join()
        return made[0]


@contextmanager
def chromium() -> Iterator[Chromium]:
    name = f"page-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
            program = Path(folder) / "chromium"
            program.write_text(f'#!/bin/sh\nexec ip netns exec {name} {CHROMIUM} "$@"\n')
            program.chmod(0o700)
            browser = started.chromium.launch(executable_path=program, args=ARGUMENTS, timeout=2 * PATIENCE)
            try:
                yield Chromium(browser, name)
            finally:
                browser.close()
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


class Visit:
    """One tab. `faults`: errors of scripts and of the policy, which no visit may leave."""

    def __init__(self, chromium: Chromium, live: LivePage, **options: Any) -> None:
        self.context = chromium.browser.new_context(**({"viewport": DESK} | options))
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.live = live
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._console)

    def _console(self, message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def enter(self, token: str = TOKEN) -> Page:
        """Open the page and sign in."""
        self.page.goto(self.live.url + "/ui/")
        self.page.fill("#token", token)
        self.page.click("#login button")
        return self.page

    def inside(self, token: str = TOKEN) -> Page:
        """Signed in, its stream open and the network drawn."""
        page = self.enter(token)
        page.wait_for_selector("#link[data-state=live]")
        page.wait_for_selector(".node")
        return page

    def close(self) -> None:
        self.context.close()
