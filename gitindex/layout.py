"""Where things lie in an index repository, format 1: path to identity and back, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gitindex.names import IndexName, ProjectName, UserName

SETTINGS = "gitindex.toml"
INDEXES = "indexes"
FILES = "files"
USER = "user.toml"
INDEX = "index.toml"
PROJECT = "project.toml"
MANIFEST_SUFFIX = ".json"
RESULTS_SUFFIX = ".tests.json"
METADATA_SUFFIX = ".metadata"
PROVENANCE_SUFFIX = ".provenance"
MAX_DOCUMENT = 1024 * 1024
"""Largest size in bytes of a file under `indexes/`, and of the settings."""


def user_folder(user: UserName | str) -> str:
    return f"{INDEXES}/{user}"


def user_path(user: UserName | str) -> str:
    return f"{INDEXES}/{user}/{USER}"


def index_folder(index: IndexName) -> str:
    return f"{INDEXES}/{index.user}/{index.name}"


def index_path(index: IndexName) -> str:
    return f"{INDEXES}/{index.user}/{index.name}/{INDEX}"


def project_folder(index: IndexName, project: ProjectName | str) -> str:
    return f"{INDEXES}/{index.user}/{index.name}/{project}"


def statements_path(index: IndexName, project: ProjectName | str) -> str:
    return f"{project_folder(index, project)}/{PROJECT}"


def manifest_path(index: IndexName, project: ProjectName | str, version: str) -> str:
    return f"{project_folder(index, project)}/{version}{MANIFEST_SUFFIX}"


def results_path(index: IndexName, project: ProjectName | str, version: str) -> str:
    return f"{project_folder(index, project)}/{version}{RESULTS_SUFFIX}"


def is_manifest(name: str) -> bool:
    """Tell whether a file of that name in the folder of a project is a manifest; the others may be results of tests."""
    return name.endswith(MANIFEST_SUFFIX) and not name.endswith(RESULTS_SUFFIX)


def stored_path(sha256: str, filename: str) -> str:
    """Return where a stored file lies in the repository and in the site; see also :func:`path_in_storage`."""
    return f"{FILES}/{sha256[:2]}/{sha256[2:]}/{filename}"


def path_in_storage(path: str) -> str:
    """Return where a stored file lies in a storage outside of the repository: all in there are files."""
    return path.removeprefix(f"{FILES}/")
