import sys

from m2s.cli.main import main

sys.exit(main())
