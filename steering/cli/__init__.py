"""The `steering` command: one module for each subcommand, dispatched by `main`."""
