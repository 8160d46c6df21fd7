"""What installers see change between two revisions: compared page by page, whatever the reason is.

Two revisions whose pages are equal differ in no release, and where a page differs, what differs on it is told.
"""

from gitindex.preview.making import preview
from gitindex.preview.values import (
    FileDifference,
    IndexDifference,
    MirrorsDifference,
    Preview,
    ProjectDifference,
    ReleaseDifference,
    SettingDifference,
)

__all__ = [
    "FileDifference",
    "IndexDifference",
    "MirrorsDifference",
    "Preview",
    "ProjectDifference",
    "ReleaseDifference",
    "SettingDifference",
    "preview",
]
