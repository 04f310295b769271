"""The `steering` command: `main` dispatches, `commands` has a module for each subcommand, the rest is what these share."""
