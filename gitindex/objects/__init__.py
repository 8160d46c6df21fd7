"""Object stores: S3, Google Cloud Storage, Azure, and folders. What is kept there, and what is published there."""

from gitindex.objects.location import Location, read_location
from gitindex.objects.storage import StoredObjects, store_of, stored_headers
from gitindex.objects.store import LONGEST, Headers, Objects

__all__ = ["LONGEST", "Headers", "Location", "Objects", "StoredObjects", "read_location", "store_of", "stored_headers"]
