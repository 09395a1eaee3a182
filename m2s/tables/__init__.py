"""Our results beside the papers'. ``book = m2s.tables.open("polyps", "lab", "sample")`` opens the book of a study."""

from m2s.tables.book import Book

open = Book.of
open_real = Book.of_real
