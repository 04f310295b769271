"""A stream that ends when its reader hangs up, and when its reader's token ends."""

from collections.abc import Callable, Iterable, Iterator


class HeldBody:
    """The body of a WSGI answer that may last for days. `is_held`: whether its reader is still there, and the token that
    it was asked with still one. That is asked before each piece, also an empty one, so that nothing goes out after a
    token was taken back or has expired."""

    def __init__(self, body: Iterable[bytes], is_held: Callable[[], bool]) -> None:
        self._body = body
        self._pieces = iter(body)
        self._is_held = is_held

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        if not self._is_held():
            raise StopIteration
        return piece

    def close(self) -> None:
        """The server is done with it, or its reader went away."""
        close: Callable[[], None] | None = getattr(self._body, "close", None)
        if close is not None:
            close()
