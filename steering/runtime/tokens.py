"""The file of bearer tokens as the command line edits it; a running controller reads it again by itself."""

from steering.northbound.credentials import CredentialError, default_state_dir
from steering.northbound.tokens import Record, Role, add, listed, revoke

__all__ = ["CredentialError", "Record", "Role", "add", "default_state_dir", "listed", "revoke"]
