"""Links that a server gives, taken as a path below a connection's own address. Pure.

Two parsers can read two hosts out of one text, so none is asked whose link it is: scheme, user and
host are dropped, and what is left is put onto the address that the connection has anyway.
"""

import re
from urllib.parse import quote

from service.base_urls import has_dot_segments

#: Scheme, authority, path and query by RFC 3986, appendix B: it takes every text apart, and fails on none.
_PARTS = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?")
#: What browsers take out of a URL before they read it.
_IGNORED = str.maketrans("", "", "\t\r\n")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

#: What may stand in a path or query as it is; a percent sign, because the link is encoded already.
_KEPT = "/%:@!$&'()*+,;=~-._"


def below(link: str, base_url: str) -> str | None:
    """Return path and query of a link, to be appended to the base; None if its path lies elsewhere.

    What lies beside the base is another service of the host, or another tenant of a gateway.
    """
    scheme, authority, path, query = _parts(link)
    if scheme not in (None, "http", "https"):
        return None
    if scheme is None and authority is None and not path.startswith("/"):
        # R4 does not say what a relative link is relative to; servers mean their base.
        rest = f"/{path}" if path else ""
    else:
        base_path = _parts(base_url)[2].rstrip("/")
        if path != base_path and not path.startswith(f"{base_path}/"):
            return None
        rest = path.removeprefix(base_path)
    if has_dot_segments(rest):
        return None
    encoded = quote(rest, safe=_KEPT, errors="replace")
    return encoded if query is None else f"{encoded}?{quote(query, safe=f'{_KEPT}?', errors='replace')}"


def on_same_origin(link: str, base_url: str) -> bool:
    """Tell whether a link names the base's own scheme and host, letter by letter, or none."""
    scheme, authority, *_ = _parts(link)
    if scheme is None and authority is None:
        return True
    own_scheme, own_authority, *_ = _parts(base_url)
    return (scheme or own_scheme, _host(own_scheme, authority)) == (
        own_scheme,
        _host(own_scheme, own_authority),
    )


def _parts(link: str) -> tuple[str | None, str | None, str, str | None]:
    match = _PARTS.match(link.translate(_IGNORED).strip())
    assert match is not None
    scheme, authority, path, query = match.groups()
    return scheme.lower() if scheme else None, authority, path, query


def _host(scheme: str | None, authority: str | None) -> str:
    return (authority or "").lower().removesuffix(_DEFAULT_PORTS.get(scheme or "", ""))
