"""READMEs as HTML, made in a process of their own: what people wrote may take what it likes there, and harm nobody.

A parser that overflows its stack, a lexer that never ends, an alias of an alias of an alias: the process ends, and the
README is shown as plain text.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from functools import lru_cache
from typing import NamedTuple

from markupsafe import Markup, escape

from gitindex.errors import CannotRunError
from gitindex.render.text import carried

_PATIENCE = 120
"""Seconds; what limits a README is the time of the processor, which does not depend on how busy the machine is."""


class Readme(NamedTuple):
    """A README as a page shows it."""

    html: Markup
    is_plain: bool
    """Whether it is shown as it is written."""
    has_images: bool
    """Whether it had images, which are links now."""


@lru_cache(maxsize=32)
def readme(text: str, content_type: str) -> Readme:
    """Return a README as HTML; *content_type* is a Description-Content-Type (core metadata specification).

    Raises:
        CannotRunError: the process that renders cannot be started.

    """
    kind = content_type.partition(";")[0].strip().lower()
    made = _worker.ask(text, content_type) if kind in {"", "text/markdown", "text/x-rst"} else None
    if made is None:
        plain = f'<pre class="plain" tabindex="0">{escape(carried(text))}</pre>'
        return Readme(Markup(plain), is_plain=True, has_images=False)  # noqa: S704 - escaped just now
    html, has_images = made
    return Readme(Markup(html), is_plain=False, has_images=has_images)  # noqa: S704 - sanitised and fitted


class _Worker:
    """The process, started for the first README; a fork starts its own."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def ask(self, text: str, content_type: str) -> tuple[str, bool] | None:
        """Return the HTML, and whether it had images; ``None`` where it cannot be rendered."""
        with self._lock:
            process = self._process or self._start()
            line = self._exchange(process, json.dumps([text, content_type]))
            if not line.endswith("\n"):
                self._end(process)
                return None
            made = json.loads(line)
            return None if made is None else (str(made[0]), bool(made[1]))

    def _start(self) -> subprocess.Popen[str]:
        # Neither the folder we are in nor a file in it may have a say: it can be a repository that others write to.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gitindex.render.markup"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="surrogatepass",
            cwd="/",
            env={**os.environ, "DOCUTILSCONFIG": "", "PYTHONUTF8": "1"},
        )
        if self._exchange(process, None) != "ready\n":
            self._end(process)
            raise CannotRunError(
                "READMEs cannot be rendered: readme_renderer does not start",
                help="install gitindex again, with what it needs",
            )
        self._process = process
        return process

    def _exchange(self, process: subprocess.Popen[str], line: str | None) -> str:
        assert process.stdin is not None  # noqa: S101 - pipes were asked for
        assert process.stdout is not None  # noqa: S101
        timer = threading.Timer(_PATIENCE, process.kill)
        timer.daemon = True
        timer.start()
        try:
            if line is not None:
                process.stdin.write(f"{line}\n")
                process.stdin.flush()
            return process.stdout.readline()
        except OSError:  # it has ended
            return ""
        finally:
            timer.cancel()

    def _end(self, process: subprocess.Popen[str]) -> None:
        self._process = None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass  # a line that was not taken
        process.wait()

    def close(self) -> None:
        """End the process, where there is one."""
        with self._lock:
            if self._process is not None:
                self._end(self._process)

    def forget(self) -> None:
        """Leave the process to the one that we were forked from."""
        if self._process is not None:
            self._process.returncode = 0  # not ours to wait for
        self.__init__()  # type: ignore[misc]


_worker = _Worker()
atexit.register(_worker.close)
os.register_at_fork(after_in_child=_worker.forget)
