"""Snakemake as ``m2s reproduce`` starts it: what happens to its jobs goes to standard output as JSON, a line an event.

``python -m m2s.cli.engine`` takes Snakemake's own arguments. The logger plugin that prints the events is registered
here because Snakemake finds plugins by itself only among installed packages. Snakemake's words go to standard error.
"""

import json
import signal
import sys
from contextlib import redirect_stdout
from logging import LogRecord

from snakemake import cli
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

FIELDS = {
    "run_info": ("stats",),
    "job_info": ("jobid", "rule_name", "rule_msg", "wildcards", "log"),
    "job_finished": ("job_id",),
    "job_error": ("jobid",),
}
"""The events that are passed on, each with its fields, named as Snakemake names them."""


class LogHandler(LogHandlerBase):
    """The logger plugin ``events``."""

    writes_to_stream = False  # it does not take the place of Snakemake's own handler
    writes_to_file = needs_rulegraph = False
    has_filter = has_formatter = True

    def emit(self, record: LogRecord) -> None:
        """Print one event, if it is one that is passed on."""
        event = getattr(record, "event", None)
        if event in FIELDS:
            fields = {name: getattr(record, name) for name in FIELDS[event]}
            print(json.dumps({"event": event, **fields}), file=sys.__stdout__, flush=True)


def main() -> None:
    """Run Snakemake with the arguments of this process, and end the process with its exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's "&" makes its commands ignore
    LoggerPluginRegistry().register_plugin("snakemake_logger_plugin_events", sys.modules[__name__])
    with redirect_stdout(sys.stderr):
        cli.main([*sys.argv[1:], "--logger", "events"])


if __name__ == "__main__":
    main()
