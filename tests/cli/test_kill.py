"""A killed reproduction ends as one that nobody killed; ``kill_reproduction.py`` does it more often."""

import os

import pytest
from kill_reproduction import kill_and_compare


@pytest.mark.skipif(os.name != "posix", reason="signal 9")
def test_three_kills_change_no_table_and_leave_nothing(tmp_path):
    assert kill_and_compare(tmp_path, 3, ["22_lung_table"], seed=0) == []
