"""Findings about a site, about a policy, and about a policy in a site; one subject a module.

Every check takes what `site` and `rules` have read and returns findings; it changes nothing and reads no file.
"""
