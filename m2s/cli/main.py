"""The command line, ``m2s`` or ``python -m m2s``, and that of the files in ``data_scripts/``."""

from collections.abc import Sequence

from m2s.cli.commands import COMMANDS
from m2s.cli.guard import guarded
from m2s.cli.parser import build_parser, build_script_parser
from m2s.errors import InputError


@guarded
def main(argv: Sequence[str] | None = None) -> int | None:
    """Run one command; return the exit code."""
    args = build_parser().parse_args(argv)
    return COMMANDS[args.command](args)


@guarded
def data_script(name: str, argv: Sequence[str] | None = None) -> None:
    """The command line of ``data_scripts/<name>.py``; return the exit code."""
    from m2s.data.get import obtain

    args = build_script_parser(name).parse_args(argv)
    if args.check and (args.url or args.part):
        raise InputError("--check fetches and prepares nothing: leave out --url and --part")
    root = args.root or obtain.default_root()
    if args.check:
        obtain.check_set(name, root)
    else:
        obtain.get_set(name, root, tuple(args.url), args.part)
