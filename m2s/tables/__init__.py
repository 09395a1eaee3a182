"""Our results beside the papers'. ``book = m2s.tables.open("polyps", "lab", "sample")`` opens the book of a study."""

from m2s.errors import require_extra

require_extra("notebooks", "IPython")

from m2s.tables.book import Book  # noqa: E402 – it imports what was asked for

open = Book.of
open_real = Book.of_real
