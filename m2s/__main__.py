"""``python -m m2s`` is ``m2s``."""

import sys

from m2s.cli.main import main

sys.exit(main())
