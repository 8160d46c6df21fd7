"""Pull requests: a change on a branch of its own, pushed, and the request opened as the forge has it."""

from gitindex.forge.proposing import Proposal, propose

__all__ = ["Proposal", "propose"]
