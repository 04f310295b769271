"""The shape of a policy file, its compiled records, and what differs between two policies.

It imports `language` alone. Whether the rules make sense is not looked at here: `checks` does that.
"""
