"""Output formats of findings; the contents are values by then."""
