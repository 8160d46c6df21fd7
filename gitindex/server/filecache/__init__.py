"""Files of other indexes, kept on disk: each is downloaded once, and sent to all who wait for it while it comes.

Nobody gets the end of a file before its hash and length are proven, and only what is proven is kept.
"""

from gitindex.server.filecache.cache import BusyError, CacheStatistics, FileCache
from gitindex.server.filecache.download import HELD_BACK
from gitindex.server.filecache.intake import BrokenFileError, Fetch, TooLargeError, Wanted, WrongFileError
from gitindex.server.filecache.reading import PIECE, OpenFile

__all__ = [
    "HELD_BACK",
    "PIECE",
    "BrokenFileError",
    "BusyError",
    "CacheStatistics",
    "Fetch",
    "FileCache",
    "OpenFile",
    "TooLargeError",
    "Wanted",
    "WrongFileError",
]
