"""Copies the files of carried pages into a site, so that it needs no upstream: an air-gapped mirror.

What comes is checked against the page's digest and size before it takes its place; what is there already stays.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from gitindex import atomic, layout
from gitindex.carried import Carried
from gitindex.errors import CannotRunError, DeliveryError, DistributionError
from gitindex.facts import read_metadata
from gitindex.names import IndexName, Sha256
from gitindex.output import MARKER, OutputFolder
from gitindex.pages import FilePage, ProjectPage, url_of
from gitindex.upstream.carrying import Fetched, Progress
from gitindex.upstream.client import Upstreams
from gitindex.upstream.mirror import Upstream

_AT_ONCE = 8
_PIECE = 1 << 20
_LARGEST = 16 << 30
"""Bytes of a file of which the page states no size."""
