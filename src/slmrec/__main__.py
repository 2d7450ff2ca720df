"""`python -m slmrec`: the command line."""

import sys

from slmrec.cli.main import main

sys.exit(main())
