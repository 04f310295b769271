"""Knows: what the site expects to be there, and what is to be told when it is not.
May touch: nothing but its own records.
Must not: change what is decided or forwarded."""
