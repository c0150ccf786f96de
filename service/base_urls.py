"""Base URLs: which texts are one, and what lies below one. Compared by their parts, never as texts. Pure."""

import re
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_PORTS = {"http": 80, "https": 443}
#: Where parsers of URLs begin to disagree about the host, and what no base needs.
_ODD = re.compile(r"[^!-~]|[\\<>\"^`{|}?#@]")
_NAME = re.compile(r"[a-z0-9._-]+")
#: What is encoded more often than this was encoded to get past somebody.
_MOST_DECODINGS = 8


class BaseURL(NamedTuple):
    """path: its segments, without the empty one that a last slash makes."""

    scheme: str
    host: str
    port: int
    path: tuple[str, ...]

    def below(self, base: "BaseURL") -> str | None:
        """Return what leads from a base to here, with its slashes; None for what is elsewhere."""
        depth = len(base.path)
        if self[:3] != base[:3] or self.path[:depth] != base.path:
            return None
        return "/".join(self.path[depth:])


def parse(text: str) -> BaseURL | None:
    """Return the parts of an http(s) URL without user, password, query or fragment; None for all else."""
    if _ODD.search(text):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    segments = parts.path.removesuffix("/").split("/")[1:]
    if parts.scheme not in _PORTS or port == 0 or not _is_host(host):
        return None
    if not all(map(_is_plain, segments)):
        return None
    return BaseURL(parts.scheme, host, port or _PORTS[parts.scheme], tuple(segments))


def _is_host(text: str) -> bool:
    if ":" not in text:
        return _NAME.fullmatch(text) is not None
    try:
        # A zone means something on one machine alone.
        return IPv6Address(text).scope_id is None
    except ValueError:
        return False


def _is_plain(segment: str) -> bool:
    """Tell whether a segment stays one: servers decode, and some then read what it says as a way upwards."""
    decoded = unquote(segment)
    if any(character in decoded for character in "/\\%\x00"):
        return False
    return decoded.partition(";")[0] != "" and not has_dot_segments(segment)


def has_dot_segments(path: str) -> bool:
    """Tell whether a path has a dot segment, in whatever guise a server may see through.

    Some decode twice, some read a backslash as a slash, and servlet containers cut what follows a
    semicolon before they look (https://www.rfc-editor.org/rfc/rfc3986#section-3.3): ``..;x`` is ``..`` there.
    """
    for _ in range(_MOST_DECODINGS):
        decoded = unquote(path)
        if decoded == path:
            segments = decoded.replace("\\", "/").split("/")
            return any(segment.partition(";")[0] in (".", "..") for segment in segments)
        path = decoded
    return True
