"""Which data this process has used, so that every figure can say what it was drawn from."""

USED: dict[str, str] = {}
"""The fingerprint of each data set by ``"name/split"``: of the images that were loaded here, and of those behind the
records of runs that were read."""


def used(name: str, split: str, fingerprint: str) -> None:
    """Note that a data set has been used."""
    USED[f"{name}/{split}"] = fingerprint
