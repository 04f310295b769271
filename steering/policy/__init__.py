"""Reads site and policy files: from YAML text to all findings at once, or to the frozen records of `steering.model`.

Knows the files of the operator, with the line of each key, and what two policies differ in. May use `model` alone.
It must not know an engine, or read anything but these files.
"""

from steering.policy.checks.policy_in_site import check_policy
from steering.policy.language.findings import Code, Finding
from steering.policy.policy_file import load_policy, parse_policy
from steering.policy.site_file import load_site, parse_site

__all__ = ["Code", "Finding", "check_policy", "load_policy", "load_site", "parse_policy", "parse_site"]
