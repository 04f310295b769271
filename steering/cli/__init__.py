"""The `steering` command: `main` dispatches, `commands` has a module for each subcommand, the rest is what these share.

Knows arguments, files of the operator and REST. May load what a subcommand needs, when it is used.
It must not know an engine, or decide what REST refuses.
"""
