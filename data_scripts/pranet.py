"""PraNet's TrainDataset and TestDataset, five polyp sets at once: fetch, verify and prepare them. See --help."""

import sys

from m2s.cli.main import data_script

if __name__ == "__main__":
    sys.exit(data_script("pranet"))
