"""Other people's indexes, run by path from a virtual environment of their own: `make peers`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.peers.doors import ROOT

_BIN = ROOT / ".venv-peers/bin"


def peer(name: str) -> Path:
    """Return the path of a tool, or skip the test; on a build machine it has to be there."""
    path = _BIN / name
    if not path.exists():
        assert "CI" not in os.environ, f"{path} is missing; see: make peers"
        pytest.skip(f"{name} is not there; it comes with: make peers")
    return path
