"""A private Python package index that lives in a Git repository."""

__version__ = "0.1.0"
