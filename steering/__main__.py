"""`python -m steering`: the same as the `steering` command."""

import sys

from steering.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
