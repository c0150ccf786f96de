"""What is wrong with a narrative: not XHTML, empty, or with active content (https://hl7.org/fhir/R4/narrative.html).

It only detects; nothing here changes a narrative.
"""

import re
from html.entities import name2codepoint
from xml.parsers import expat

import nh3

from fhir_mappings.r4.shapes import words

_XHTML = "http://www.w3.org/1999/xhtml"

# Chapters 7 to 11 and 15 of HTML 4.0, links and images, with harmless neighbours that servers also write.
_ELEMENTS = words(
    "a abbr acronym address area b bdo big blockquote br caption center cite code col colgroup dd del dfn div"
    " dl dt em font h1 h2 h3 h4 h5 h6 hr i img ins kbd li map ol p pre q s samp small span strike strong sub"
    " sup table tbody td tfoot th thead tr tt u ul var"
)
_ACTIVE_ELEMENTS = words(
    "script style iframe frame frameset object embed applet form input button select textarea option base"
    " link meta svg math video audio source track template noscript title xmp noembed noframes"
    " plaintext portal"
)
_ACTIVE_ATTRIBUTES = words(
    "action formaction srcdoc srcset background code codebase data dynsrc lowsrc ping poster manifest"
)
_ACTIVE_PREFIXES = ("on", "xlink:")
_LINK_ATTRIBUTES = frozenset({"href", "src", "cite", "longdesc", "usemap"})
_LINK_SCHEMES = words("http https mailto tel sms fax ftp sftp file urn cid geo sip sips news xmpp")
_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):")
_EMBEDDED_IMAGE = re.compile(r"data:image/(?:png|gif|jpeg|jpg|webp|bmp)[;,]")
_IGNORED_IN_LINKS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_ACTIVE_STYLE = re.compile(
    r"expression\(|@import|(?:java|vb)script:|behaviou?r:|-moz-binding|url\([\"']?data:(?!image/(?!svg))"
)
_STYLE_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
# One that is not closed takes all that is left, so that nothing is read twice in search of an end.
_STYLE_COMMENT = re.compile(r"/\*.*?(?:\*/|(?P<unclosed>\Z))", re.DOTALL)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})
#: The parser for a browser's view takes time with the square of depth and of attributes.
_MOST_FOR_BROWSER = 20_000
_TAG = re.compile(r"<([A-Za-z][A-Za-z0-9]*)")
_BREAKS = re.compile(r"[\s\u00a0]+")


def problems(div: str) -> list[str]:
    """Return what is wrong with the text of a Narrative.div."""
    view = _XMLView()
    view.read(div)
    found = view.problems
    # A browser does not read XHTML as XML; what it would see must be harmless too.
    if not found and view.ends_early_for_browser:
        found += _seen_by_browser(div)
    return list(dict.fromkeys(found))


class _XMLView:
    """The narrative as an XML parser sees it."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        #: Whether a browser takes for elements what XML takes for a comment or an instruction.
        self.ends_early_for_browser = False
        self._depth = 0
        self._has_content = False

    def read(self, div: str) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartCdataSectionHandler = lambda: self._refuse("has a CDATA section")
        parser.CommentHandler = self._comment
        parser.ProcessingInstructionHandler = self._instruction
        try:
            parser.Parse(_ENTITY.sub(_expanded, div).encode("utf-8", "surrogatepass"), True)
        except (expat.ExpatError, _RefusedError):
            self._refuse("is not well-formed XHTML")
        else:
            if not self._has_content:
                self._refuse("has neither text nor an image (txt-2)")

    def _refuse(self, problem: str) -> None:
        self.problems.append(problem)

    def _doctype(self, *_: object) -> None:
        # Stops at once: what follows could be entities that grow without end.
        raise _RefusedError

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, element = name.rpartition(" ")
        self._depth += 1
        if namespace != _XHTML:
            self._refuse("must be elements of the namespace http://www.w3.org/1999/xhtml alone")
        if self._depth == 1 and element != "div":
            self._refuse("must be one div")
        if element not in _ELEMENTS:
            self._refuse("has active or foreign elements; only text formatting is allowed (txt-1)")
        if element == "img":
            self._has_content = True
        for attribute, value in attributes.items():
            problem = attribute_problem(element, attribute.rpartition(" ")[2], value)
            if problem:
                self._refuse(problem)

    def _end(self, *_: object) -> None:
        self._depth -= 1

    def _comment(self, text: str) -> None:
        # https://html.spec.whatwg.org/#comment-start-state; another early end, --!>, is not well-formed XML.
        if text.startswith((">", "->")):
            self.ends_early_for_browser = True

    def _instruction(self, _target: str, text: str) -> None:
        if ">" in text:
            self.ends_early_for_browser = True

    def _text(self, text: str) -> None:
        if not self._has_content and _BREAKS.sub("", text):
            self._has_content = True


class _RefusedError(Exception):
    """Ends a parse that must go no further."""


def attribute_problem(element: str, attribute: str, value: str) -> str | None:
    """Tell what is wrong with one attribute of an XHTML element, or None."""
    name = attribute.lower()
    if name in _ACTIVE_ATTRIBUTES or name.startswith(_ACTIVE_PREFIXES):
        return "has event handlers or other active attributes (txt-1)"
    if name in _LINK_ATTRIBUTES and not _is_harmless_link(element, value):
        return "has a link that could run something (txt-1)"
    if name == "style" and _is_active_style(value):
        return "has a style that loads or runs something (txt-1)"
    return None


def _is_harmless_link(element: str, value: str) -> bool:
    address = _IGNORED_IN_LINKS.sub("", value).lower()
    scheme = _SCHEME.match(address)
    if scheme is None or scheme[1] in _LINK_SCHEMES:
        return True
    return element == "img" and _EMBEDDED_IMAGE.match(address) is not None


def _is_active_style(value: str) -> bool:
    plain = _STYLE_ESCAPE.sub(lambda escape: escape[2] or chr(min(int(escape[1], 16), 0x10FFFF)), value)
    bare = _STYLE_COMMENT.sub(_without_comment, plain)
    return _ACTIVE_STYLE.search("".join(bare.split()).lower()) is not None


def _without_comment(comment: re.Match[str]) -> str:
    # CSS reads one without an end as a comment too; what stands in it is looked at all the same.
    return comment[0] if comment["unclosed"] is not None else ""


def _seen_by_browser(div: str) -> list[str]:
    if len(div) > _MOST_FOR_BROWSER:
        return ["has a comment that a browser ends earlier than XML does, and is too long to look through"]
    found: list[str] = []

    def note(element: str, attribute: str, value: str) -> str | None:
        problem = attribute_problem(element, attribute, value)
        if problem:
            found.append(problem)
        return None

    shown = nh3.clean(
        div,
        tags=set(_ELEMENTS | _ACTIVE_ELEMENTS),
        clean_content_tags=set(),
        attributes={"*": set(_LINK_ATTRIBUTES | {"style", "action", "formaction", "srcdoc"})},
        generic_attribute_prefixes={"on"},
        attribute_filter=note,
        link_rel=None,
    )
    # Text comes out escaped, so what looks like a tag here is one.
    if any(tag.lower() in _ACTIVE_ELEMENTS for tag in _TAG.findall(shown)):
        found.append("has active elements for a browser, which ends comments earlier than XML does (txt-1)")
    return found


def _expanded(entity: re.Match[str]) -> str:
    # HTML's own names (&nbsp;) are not XML, but servers write them and mean no harm.
    name = entity[1]
    if name in _XML_ENTITIES or name not in name2codepoint:
        return entity[0]
    return chr(name2codepoint[name])
