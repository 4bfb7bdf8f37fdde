"""`python -m devenv` is `devenv`."""

import sys

from devenv.cli import main

sys.exit(main())
