"""Mutation test of the guard: edits that destroy, that are improper and that are harmless, through real Git histories.

`oracle.py` says by a plain reading of the promise what a change destroys; it knows nothing of gitindex.
`destructive.py`, `improper.py` and `harmless.py` have the kinds of edits, `scenarios.py` combines them at random into
pull requests and histories, and `judge.py` asks every door of the guard what it says of them.
"""
