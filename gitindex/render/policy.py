"""What a browser may do for a page of people (Content Security Policy, level 3), for page and server."""

from __future__ import annotations

from typing import Final

_LOADED = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'"
IN_PAGE: Final = f"{_LOADED}; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
"""For the page's own ``meta``: its stylesheet, its script and its icon, nothing inline, and nothing from elsewhere."""
IN_HEADER: Final = f"{IN_PAGE}; frame-ancestors 'none'"
"""For the header of a server, which alone may also forbid frames around a page."""
