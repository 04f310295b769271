"""The keys of one session. Anybody who knows both can forge MP_FASTCLOSE (RFC 8684 3.5), so nothing here shows them."""


class Secrets:
    """The keys of a session. They are kept only if a policy needs them (D-6.4h, D-6.7.1), never printed, and wiped when the
    session ends.

    `host` and `mcp`: the keys of both ends, 8 bytes, b"" until they are seen. They may be used only if `verified`: the token of
    the MCP's key is the session's token. `proving`: joins must prove that they know both keys.
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
