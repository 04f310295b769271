"""The file of bearer tokens as the command line edits it; a running controller reads it again by itself."""

from steering.model.identity import Role
from steering.store.interface import StateError
from steering.store.state_directory import StateDirectory
from steering.store.token_uses import read_uses
from steering.store.tokens import TokenRecord, add, listed, revoke

__all__ = [
    "Role",
    "StateError",
    "StateDirectory",
    "TokenRecord",
    "add",
    "listed",
    "read_uses",
    "revoke",
]
