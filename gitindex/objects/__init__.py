"""Object stores: S3, Google Cloud Storage, Azure, and folders. What is kept there, and what is published there."""

from gitindex.objects.location import Location, read_location
from gitindex.objects.store import LONGEST, Headers, Objects

__all__ = ["LONGEST", "Headers", "Location", "Objects", "read_location"]
