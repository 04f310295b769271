"""Findings about a site, about a policy, and about a policy in a site. Each module has one subject.

Every check takes what `site` and `rules` have read, and returns findings. It changes nothing and reads no file.
"""
