"""How a program of m2s ends: an exit code (0, 1 failed, 2 bad input, 130 Ctrl-C), and one line for an error."""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import wraps

from m2s.errors import InputError, RunError, is_first_process, show_plain


def guarded(work: Callable[..., int | None]) -> Callable[..., int]:
    """``work`` as a program's main function: it returns the exit code, and says in one line what went wrong."""

    def tell(message: str) -> None:
        if is_first_process():  # of those of torchrun
            print(f"m2s: {message}", file=sys.stderr)

    @wraps(work)
    def guard(*args, **settings) -> int:
        for name in ("SIGTERM", "SIGHUP"):  # so that ending us, or closing the terminal, ends what we started
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.default_int_handler)
        for stream in (sys.stdout, sys.stderr):  # a pipe of a system without UTF-8 shows "?" rather than ending us
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        try:
            code = work(*args, **settings) or 0
            sys.stdout.flush()
            return code
        except InputError as error:
            tell(f"error: {show_plain(str(error))}")
            return 2
        except RunError as error:  # a reproduction has a line for each job that failed
            tell("error: " + "\n".join(map(show_plain, str(error).split("\n"))))
            return 1
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:  # a full disk, a folder that became read-only, a share that is gone
            if isinstance(error, shutil.Error):  # of a folder of files: the first of them
                _, path, reason = error.args[0][0]
            else:
                path, reason = error.filename2 or error.filename, error.strerror or str(error)
            kept = "what was finished is kept, and the same command goes on from there"
            place = f"{show_plain(str(path))}: " if path else ""
            tell(f"error: {place}{show_plain(reason)}; {kept}")
            return 1
        except KeyboardInterrupt:
            tell("interrupted; what was finished is kept, and the same command goes on from there")
            return 130

    return guard
