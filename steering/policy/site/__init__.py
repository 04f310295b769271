"""The schema of a site file, and its parts in one common form for the checks.

It imports `language` only. It does not check whether the parts fit together, which `checks` does.
"""
