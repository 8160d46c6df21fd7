"""Fuzzing: hostile bytes, documents, trees, commits, hook lines and options, made at random from a seed.

`mangle.py` makes them, `targets.py` gives them to the guard. Whatever it is: no traceback, no hang, no memory without
bound, and nothing accepted that destroys what was promised.
"""
