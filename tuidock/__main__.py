"""`python -m tuidock`, the same as the `tuidock` command."""

import sys

from tuidock.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
