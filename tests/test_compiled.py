"""Templates that are kept compiled: as long as they are right, and where that can be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest

from gitindex.render.compiled import CompiledTemplates


class Counting(jinja2.Environment):
    """Knows how many templates it has compiled."""

    compiled = 0

    def compile(self, *arguments: Any, **options: Any) -> Any:
        self.compiled += 1
        return super().compile(*arguments, **options)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    (tmp_path / "page.html").write_text("{{ 1 + 1 }}", encoding="utf-8")
    (tmp_path / "maker.py").touch()
    return tmp_path


def made(folder: Path) -> tuple[str, int]:
    """Lay out the page in an environment of its own; return it, and how many templates had to be compiled."""
    kept = CompiledTemplates(str(folder), str(folder / "maker.py"))
    environment = Counting(loader=jinja2.FileSystemLoader(folder), bytecode_cache=kept, autoescape=True)
    return environment.get_template("page.html").render(), environment.compiled


def kept_files(folder: Path) -> list[Path]:
    return list(folder.glob("__pycache__/*"))


def test_a_template_is_compiled_once(folder: Path) -> None:
    assert [made(folder) for _ in range(3)] == [("2", 1), ("2", 0), ("2", 0)]
    assert len(kept_files(folder)) == 1


def test_another_source_is_compiled_anew(folder: Path) -> None:
    made(folder)
    (folder / "page.html").write_text("{{ 1 + 2 }}", encoding="utf-8")
    assert [made(folder), made(folder)] == [("3", 1), ("3", 0)]
    assert len(kept_files(folder)) == 1


def test_with_other_options_it_is_compiled_anew(folder: Path) -> None:
    made(folder)
    (folder / "maker.py").write_text("# other options", encoding="utf-8")
    assert [made(folder), made(folder)] == [("2", 1), ("2", 0)]


@pytest.mark.parametrize("length", [0, 10, -200, -3])
def test_what_is_broken_is_compiled_anew(folder: Path, length: int) -> None:
    made(folder)
    (kept,) = kept_files(folder)
    kept.write_bytes(kept.read_bytes()[:length])
    assert [made(folder), made(folder)] == [("2", 1), ("2", 0)]


def test_where_nothing_can_be_kept_it_is_compiled_each_time(folder: Path) -> None:
    (folder / "__pycache__").touch()
    assert [made(folder), made(folder)] == [("2", 1), ("2", 1)]


def test_no_bytecode_is_kept_where_python_keeps_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert [made(folder), made(folder)] == [("2", 1), ("2", 1)]
    assert not kept_files(folder)
