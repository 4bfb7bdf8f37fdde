"""Refuse changes that another site's page asks this browser to make."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_cross_origin_change(method: str, headers: Headers) -> bool:
    """Tell whether a browser marks the request as a change started by another origin.

    The service has no login, and a page anywhere may send a form to 127.0.0.1. Browsers say where a request comes from
    in Sec-Fetch-Site (W3C Fetch Metadata) or, older ones, in Origin; programs send neither and are let through.
    """
    if method in _SAFE_METHODS:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")
