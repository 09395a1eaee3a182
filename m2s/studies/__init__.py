"""The studies: every published table as rows of runs on tasks, plain definitions without a network."""

from m2s.studies.lgmsnet import LGMSNETS
from m2s.studies.m2snet import ABLATIONS, COMPARISONS
from m2s.studies.short import SHORTS
from m2s.studies.study import Study

STUDIES: dict[str, Study] = COMPARISONS | ABLATIONS | LGMSNETS | SHORTS
"""Name → study: the one list of what is to be run."""
