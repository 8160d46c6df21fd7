"""The entry point: runs a command, and turns what stops it into one line and an exit code."""

from __future__ import annotations

import atexit
import codecs
import gc
import io
import os
import sys


def main() -> None:
    """Run the command line.

    Exit codes: 0 done and clean, 1 findings of severity error (or the thing asked for is not there), 2 wrong usage,
    3 could not run, 130 interrupted.
    """
    # A command makes many small values and hardly a cycle: the default (700) looks at the whole heap again and again.
    gc.set_threshold(100_000, 20, 100)
    # Nor does it need the last look at the heap before the process ends, which takes a sixth of a short run.
    atexit.register(gc.freeze)
    # To look for pydantic's plugins is to read the metadata of every installed distribution, at each start.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _spell_out_foreign_letters()
    from gitindex.errors import GitindexError, RefusedError  # noqa: PLC0415 - the interpreter's own errors come first

    try:
        for name, module in _QUICK.items():
            if name in sys.argv:
                _run_quickly(name, module)
        from gitindex.cli import command  # noqa: PLC0415

        command()(prog_name="gitindex")
    except RefusedError as error:
        from gitindex.cli.output import print_findings  # noqa: PLC0415

        print_findings(error.findings)
        _stop(str(error), error.exit_code)
    except GitindexError as error:
        from gitindex.report.text import printable  # noqa: PLC0415

        # What is wrong is one line, whatever it is about; only Git's own words, as the help, may be more.
        lines = "\n".join(map(printable, error.help.split("\n")))
        _stop(f"{printable(error.message)}; {lines}" if error.help else printable(error.message), error.exit_code)
    except KeyboardInterrupt:
        _stop("interrupted", 130)
    except UnicodeEncodeError:
        _stop("an argument or a name is not UTF-8 here; run it in a UTF-8 locale, such as LC_ALL=C.UTF-8", 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _stop(f"{error.filename or 'the answer'}: {error.strerror or error}", 3)
    except MemoryError:
        _stop("there is not enough memory for this", 3)
    except Exception as error:
        if os.environ.get("GITINDEX_DEBUG"):
            raise
        message = " ".join(str(error).split())[:300]
        _stop(
            f"unexpected {type(error).__name__}: {message}; run it with GITINDEX_DEBUG=1, and report what it prints",
            3,
        )


def _spell_out_foreign_letters() -> None:
    """Let an answer have letters that the terminal's encoding lacks; bytes that are no letters stay what they were."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper) or stream.encoding.lower() == "utf-8":
        return
    for_bytes = codecs.lookup_error(stream.errors or "strict")

    def spell_out(error: UnicodeError) -> tuple[str | bytes, int]:
        assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - nothing is read from it
        one = UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
        is_byte = "\ud800" <= error.object[error.start] <= "\udfff"
        return (for_bytes if is_byte else codecs.backslashreplace_errors)(one)

    codecs.register_error("gitindex", spell_out)
    stream.reconfigure(errors="gitindex")


_QUICK = {"validate": "gitindex.check", "render": "gitindex.rendering", "serve": "gitindex.server.command"}
"""The commands that start without Typer where their words are plain, and their modules."""


def _run_quickly(name: str, module: str) -> None:
    from importlib import import_module  # noqa: PLC0415

    from gitindex.words import read_words  # noqa: PLC0415

    command = import_module(module)
    if words := read_words(name, command.OPTIONS, sys.argv[1:], os.environ):
        sys.exit(command.run(words.directory, words.folder, **words.values))


def _stop(message: str, code: int) -> None:
    print(f"gitindex: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


if __name__ == "__main__":
    main()
