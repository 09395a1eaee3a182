"""Read many images at once."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import TypeVar

from tqdm import tqdm

Result = TypeVar("Result")


def map_in_threads(work: Callable[[int], Result], count: int, title: str) -> Iterator[Result]:
    """``work(0), work(1), …, work(count - 1)`` from several threads, in order, with a bar on a terminal."""
    with ThreadPoolExecutor(min(8, cpu_count() or 1)) as pool:
        yield from tqdm(pool.map(work, range(count)), title, count, leave=False, disable=not sys.stderr.isatty())
