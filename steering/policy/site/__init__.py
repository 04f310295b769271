"""The shape of a site file, and its parts in one common form for the checks.

It imports `language` alone. Whether the parts agree with each other is not looked at here: `checks` does that.
"""
