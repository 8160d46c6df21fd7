"""The server: an ASGI application that answers from the objects of Git, and from what stands behind mirrors."""
