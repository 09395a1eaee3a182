"""COVID-19-CT-Seg, ten volumes: fetch or find it, verify it, prepare it. See --help."""

import sys

from m2s.cli.main import data_script

if __name__ == "__main__":
    sys.exit(data_script("covid19ct"))
