"""The server: answers installers and people straight from Git objects, with other indexes behind it."""
