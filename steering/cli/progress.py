"""A line that says that a command is still at work, where a person waits for it."""

import shutil
import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from threading import Event, Thread

PATIENCE = 2.0  # seconds that a command may take before the line appears
EVERY = 0.5  # seconds between changes of the line


class ProgressLine:
    """The line, on stderr. It is shown only on a terminal, and only PATIENCE seconds after this object was made. Use it in
    a `with` statement around long work, as often as needed. Print only outside of the `with` block: the line is gone
    then. `text` may be set during the work."""

    def __init__(self, text: str, stream: TextIO | None = None) -> None:
        self.text = text
        self._stream = sys.stderr if stream is None else stream
        self._began = time.monotonic()
        self._done: Event | None = None
        self._thread: Thread | None = None
        self._width = 0  # columns of the text that is shown now

    def __enter__(self) -> Self:
        if self._thread is None and self._stream.isatty():
            # Imported here: `steering run` has to patch the standard library before anything loads it.
            from threading import Event, Thread

            self._done = Event()
            self._thread = Thread(target=self._run, args=(self._done,), name="steering-progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._done is not None and self._thread is not None:
            self._done.set()
            self._thread.join()
            self._thread = None
        if self._width:
            self._write("")

    def _run(self, done: "Event") -> None:
        wait = max(0.0, PATIENCE - (time.monotonic() - self._began))
        while not done.wait(wait):
            self._write(f"{self.text} ({time.monotonic() - self._began:.0f} s)")
            wait = EVERY

    def _write(self, text: str) -> None:
        """Write `text` over the text that is shown now, on one line."""
        text = text[: shutil.get_terminal_size().columns - 1]
        self._stream.write(f"\r{text.ljust(self._width)}" + ("" if text else "\r"))
        self._stream.flush()
        self._width = len(text)
