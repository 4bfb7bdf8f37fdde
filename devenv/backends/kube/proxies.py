"""HTTPS_PROXY, HTTP_PROXY and NO_PROXY as Go's programs read them (golang.org/x/net/http/httpproxy)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def proxy_for(server: str, environ: Mapping[str, str]) -> str:
    """Return the proxy's address for a server's, "" for none; this machine itself is never behind a proxy."""
    parts = urlsplit(server)
    name = "HTTPS_PROXY" if parts.scheme == "https" else "HTTP_PROXY"
    proxy = environ.get(name) or environ.get(name.lower()) or ""
    host = (parts.hostname or "").lower()
    port = str(parts.port or (443 if parts.scheme == "https" else 80))
    if not proxy or _is_local(host):
        return ""
    exceptions = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if any(_matches(host, port, entry.strip().lower()) for entry in exceptions.split(",")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_local(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address is not None else host == "localhost"


def _matches(host: str, port: str, entry: str) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False  # Go ignores what it cannot read
    only_port = ""
    if entry.startswith("[") and "]" in entry:
        entry, _, rest = entry[1:].partition("]")
        only_port = rest.removeprefix(":")
    elif entry.count(":") == 1:
        entry, _, only_port = entry.partition(":")
    if only_port and only_port != port:
        return False
    if address is not None:
        return _address(entry) == address
    entry = entry.removeprefix("*")
    return host.endswith(entry) if entry.startswith(".") else host == entry or host.endswith(f".{entry}")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
