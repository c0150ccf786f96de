"""Narratives: ordinary XHTML passes, active content does not."""

import pytest

from fhir_mappings.r4.narrative import problems


def div(content: str) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{content}</div>'


@pytest.mark.parametrize(
    "content",
    [
        "walk",
        "a &lt;script&gt; as text &amp; &#160; more",
        "<h2>Plan</h2><p>one<br/>two</p><ul><li>three</li></ul>",
        '<table class="grid"><tbody><tr><td colspan="2">a</td></tr></tbody></table>',
        '<p style="color: green; background-image: url(tbl.png)" title="t" xml:lang="de">a</p>',
        '<p><a name="x">a</a> <a href="https://example.org/?a=1&amp;b=2">b</a> <a href="#x">c</a></p>',
        '<a href="Patient/1">a</a> <a href="mailto:a@example.org">b</a>',
        '<img src="#picture" alt="p"/>',
        '<img src="data:image/png;base64,AAAA" alt="p"/>',
        "<!-- a remark -->a",
        f"<!-- {'a remark > ' * 4000} -->a",
        "<!--><b>shown</b> by browsers -->a",
        '<p style="color: /* expression(x()) */ green">a</p>',
        "<?page break?>a",
        "a&nbsp;b",
    ],
)
def test_ordinary_narrative_passes(content: str) -> None:
    assert problems(div(content)) == []


@pytest.mark.parametrize(
    "content",
    [
        "<script>alert(1)</script>a",
        "<SCRIPT>alert(1)</SCRIPT>a",
        "<p onclick='x()'>a</p>",
        "<p ONMOUSEOVER='x()'>a</p>",
        "<iframe src='http://example.org'>a</iframe>",
        "<object data='x'>a</object>",
        "<form action='http://example.org'>a</form>",
        "<input value='a'/>a",
        "<style>p {}</style>a",
        "<link rel='stylesheet' href='http://example.org/x.css'/>a",
        "<base href='http://example.org'/>a",
        "<svg xmlns='http://www.w3.org/2000/svg'><script>x()</script></svg>a",
        "<a href='javascript:x()'>a</a>",
        "<a href=' JaVa&#10;Script:x()'>a</a>",
        "<a href='&#1;javascript:x()'>a</a>",
        "<a href='vbscript:x'>a</a>",
        "<a href='data:text/html,x'>a</a>",
        "<img src='data:image/svg+xml,x'/>",
        "<img src='x' onerror='x()'/>",
        "<p style='width: expression(x())'>a</p>",
        "<p style='width: e\\78pression(x())'>a</p>",
        "<p style='background: url(javascript:x())'>a</p>",
        "<p style='width: expr/* a */ession(x())'>a</p>",
        "<p style='width: expr/**//* a **/ession(x())'>a</p>",
        "<p style='color: green /* expression(x())'>a</p>",
        "<p style='color: green /* a /* @ import x'>a</p>",
        "<!--> <script>x()</script> -->a",
        "<!---> <script>x()</script> -->a",
        f"<!-->{'too long to look through ' * 1000}-->a",
        "<!--><img src='x' onerror='x()'/> -->a",
        "<?x ><script>x()</script>?>a",
        "<![CDATA[<script>x()</script>]]>",
        "<p>a",
        "",
        "<p> \n&#160;</p>",
        "<html><body>a</body></html>",
    ],
)
def test_active_broken_or_empty_narrative_is_refused(content: str) -> None:
    assert problems(div(content))


@pytest.mark.parametrize(
    "text",
    [
        "walk",
        "<div>a</div>",
        '<p xmlns="http://www.w3.org/1999/xhtml">a</p>',
        div("a") + div("b"),
        '<!DOCTYPE div [<!ENTITY a "b">]>' + div("&a;"),
        div("&unknown;"),
    ],
)
def test_what_is_not_one_div_of_xhtml_is_refused(text: str) -> None:
    assert problems(text)


def test_entities_that_grow_without_end_are_never_expanded() -> None:
    levels = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(30))
    assert problems(f'<!DOCTYPE div [<!ENTITY e0 "ha">{levels}]>' + div("&e30;")) == [
        "is not well-formed XHTML"
    ]
