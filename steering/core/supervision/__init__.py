"""Knows: the things that the site expects, and the alarms about things that are missing or wrong.
May touch: only its own records.
Must not: change decisions or forwarding."""
