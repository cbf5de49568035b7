"""Pictures of our own inside the HTML report: only shapes and text pass, and no name of one picture meets another's."""

from __future__ import annotations

import html
import re

# No document type reaches the parser, so there is no entity that could expand or load anything.
from xml.etree import ElementTree as ET  # nosec B405

SVG = "http://www.w3.org/2000/svg"
HREFS = ("href", "{http://www.w3.org/1999/xlink}href")
ELEMENTS = frozenset(
    (
        "svg",
        "g",
        "defs",
        "path",
        "use",
        "text",
        "tspan",
        "rect",
        "line",
        "circle",
        "ellipse",
        "polyline",
        "polygon",
        "clipPath",
        "title",
        "desc",
        "linearGradient",
        "stop",
    )
)
DROPPED = frozenset({"metadata", "style"})
ATTRIBUTES = frozenset(
    (
        "id",
        "class",
        "d",
        "x",
        "y",
        "x1",
        "x2",
        "y1",
        "y2",
        "dx",
        "dy",
        "cx",
        "cy",
        "r",
        "rx",
        "ry",
        "width",
        "height",
        "viewBox",
        "points",
        "transform",
        "style",
        "fill",
        "fill-opacity",
        "stroke",
        "stroke-width",
        "stroke-dasharray",
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-opacity",
        "opacity",
        "font-family",
        "font-size",
        "font-weight",
        "font-style",
        "text-anchor",
        "dominant-baseline",
        "clip-path",
        "clip-rule",
        "fill-rule",
        "offset",
        "stop-color",
        "stop-opacity",
        "role",
        "aria-label",
        "version",
        "preserveAspectRatio",
    )
)
# Beside plain values only `url(#name)`, a name in the same picture.
ACTIVE = re.compile(r"url\s*\((?!\s*#[\w.-]+\s*\))|javascript:|expression\s*\(|@import|\\|data:|https?:|//", re.IGNORECASE)
LOCAL = re.compile(r"url\(\s*#([\w.-]+)\s*\)")
# Browsers agree on few depths only, and a picture of ours has about ten levels.
MAX_DEPTH = 100


# The page decides how large and where a picture is: a style of its own could lay it over the text.
OF_ROOT = frozenset({"style", "class", "id", "role", "aria-label"})


def inline_svg(data: bytes, *, prefix: str, title: str = "", description: str = "") -> str | None:
    """The svg element of `data` for use inside HTML, its ids behind `prefix`. None if it holds anything but shapes and text.

    `title` and `description` are what a screen reader says instead of the shapes; both are plain text.
    """
    try:
        text = data.decode("utf-8")
        start = text.find("<svg")
        if start < 0 or "<!DOCTYPE" in text[start:] or "<!ENTITY" in text[start:]:
            return None
        root = ET.fromstring(text[start:])  # noqa: S314  # nosec B314
        return _named(_written(root, prefix, MAX_DEPTH), prefix, title, description)
    except (UnicodeDecodeError, ET.ParseError, _NotAPicture):
        return None


def _named(shapes: str, prefix: str, title: str, description: str) -> str:
    if not title:
        return shapes
    words = {"t": ("title", title), **({"d": ("desc", description)} if description else {})}
    told = "".join(f'<{tag} id="{prefix}{key}">{html.escape(said, quote=False)}</{tag}>' for key, (tag, said) in words.items())
    labels = " ".join(f"{prefix}{key}" for key in words)
    # Behind the attributes of the root: they are ours, and none of them holds a bracket that is not escaped.
    head, _, rest = shapes.partition(">")
    return f'{head} role="img" aria-labelledby="{labels}">{told}{rest}'


class _NotAPicture(Exception):
    """An element or a value that a picture does not need."""


def _written(element: ET.Element, prefix: str, depth: int) -> str:
    namespace, _, name = element.tag.rpartition("}")
    if namespace.lstrip("{") not in ("", SVG) or (name not in ELEMENTS and name not in DROPPED) or depth == 0:
        raise _NotAPicture
    if name in DROPPED:
        # matplotlib's style rule would apply to the whole page; the page's own style says the same for pictures.
        return ""
    pairs = [(key, value) for key, value in _attributes(element, prefix) if depth < MAX_DEPTH or key not in OF_ROOT]
    attributes = "".join(f' {key}="{html.escape(value)}"' for key, value in pairs)
    inner = html.escape(element.text or "", quote=False)
    for child in element:
        inner += _written(child, prefix, depth - 1) + html.escape(child.tail or "", quote=False)
    return f"<{name}{attributes}>{inner}</{name}>"


def _attributes(element: ET.Element, prefix: str) -> list[tuple[str, str]]:
    result = []
    for key, value in element.attrib.items():
        if key in HREFS:
            if not re.match(r"^#[\w.-]+$", value):
                raise _NotAPicture
            result.append(("href", f"#{prefix}{value[1:]}"))
        elif key not in ATTRIBUTES or ACTIVE.search(value):
            raise _NotAPicture
        elif key == "id":
            result.append((key, prefix + value))
        else:
            result.append((key, LOCAL.sub(rf"url(#{prefix}\1)", value)))
    return result
