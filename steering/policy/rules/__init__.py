"""The schema of a policy file, its compilation, and the differences between two policies.

It imports `language` only. It does not check whether rules make sense, which `checks` does.
"""
