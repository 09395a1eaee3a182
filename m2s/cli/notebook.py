"""Execute one notebook as a job of ``Snakefile``: ``python -m m2s.cli.notebook SOURCE TARGET FOLDER PROFILE DATA``.

Papermill writes ``TARGET`` anew after each cell. Here every such copy is whole: when the disk is full, the last one
stays, and a line says why it ended.
"""

import sys
from pathlib import Path

from papermill.execute import execute_notebook
from papermill.iorw import LocalHandler, papermill_io

from m2s.cli.guard import guarded
from m2s.paths import whole_file


class WholeFileHandler(LocalHandler):
    """Papermill's files, each replaced by one rename."""

    def write(self, buf: str, path: str) -> None:
        with whole_file(Path(self._cwd or "", path)) as temporary:
            temporary.write_text(buf, encoding="utf-8")


@guarded
def main(source: str, target: str, folder: str, profile: str, data: str) -> None:
    """Execute ``source`` in ``folder`` with the two parameters; a cell that fails ends it by papermill's error."""
    papermill_io.reset()  # of two handlers for one place it takes the older
    papermill_io.register("local", WholeFileHandler())
    parameters = {"profile": profile, "data": data}
    execute_notebook(source, target, parameters, kernel_name="python3", cwd=folder, progress_bar=False)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
