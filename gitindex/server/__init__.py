"""`gitindex serve`: the index over HTTP, straight from Git's objects."""
