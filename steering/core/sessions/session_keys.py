"""The keys of one session. Who knows both can forge its end (RFC 8684 3.5), so nothing here shows them."""


class Secrets:
    """Kept only where a policy needs keys (D-6.4h, D-6.7.1), never printed, wiped when the session ends.

    `host` and `mcp`: the keys of either end, 8 bytes, empty before they were seen. They count only once
    `verified`: the MCP's key gives the session's token. `proving`: joins must prove that they know both.
    """

    __slots__ = ("host", "mcp", "proving", "verified")

    def __init__(self, proving: bool) -> None:
        self.proving = proving
        self.verified = False
        self.host = b""
        self.mcp = b""

    def __repr__(self) -> str:
        return f"Secrets(verified={self.verified})"

    def __reduce__(self) -> str:
        raise TypeError("secrets are not for copies or files")

    def wipe(self) -> None:
        """Forget both keys."""
        self.host = self.mcp = b""
        self.verified = False
