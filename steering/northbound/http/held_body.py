"""A stream that ends when its reader hangs up, and when its reader's token ends."""

from collections.abc import Callable, Iterable, Iterator


class HeldBody:
    """The body of a WSGI answer that may last for days. `is_held`: whether the reader is still connected and its token still
    valid. The body asks it before each piece, also an empty one, so that nothing is sent after the token was revoked
    or has expired."""

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
        """End the body: the server calls this after the last piece, and when the reader went away."""
        close: Callable[[], None] | None = getattr(self._body, "close", None)
        if close is not None:
            close()
