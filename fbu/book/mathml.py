"""Sphinx extension: formulas as MathML, which browsers show by themselves.

A book built without network stays readable without network: no script is fetched when a page is opened.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

# The converter leaves no space around a function's name: before it, and before an argument without brackets.
_NAME = "<mi>(?:log|exp|max|min)</mi>"
_ENDS = ("</mi>", "</mn>", "</msub>", "</msup>", "</msubsup>", "&#x00029;</mo>")
_BEFORE = re.compile("|".join(f"(?<={end})(?={_NAME})" for end in _ENDS))
_AFTER = re.compile(rf"({_NAME})(?!<mo[^>]*>(?:\(|&#x00028;))")
_SPACE = '<mspace width="0.17em"/>'


def to_mathml(latex: str, *, display: bool) -> str:
    """A formula as a ``<math>`` element; ValueError naming the formula if it cannot be read."""
    from latex2mathml.converter import convert

    known = re.sub(r"\\arg(?![a-z])", r"\\operatorname{arg}", latex)  # the one common name that it lacks
    try:
        formula = str(convert(known, display="block" if display else "inline"))
    except Exception as error:  # the converter raises many kinds
        raise ValueError(f"formula {latex!r} cannot be read ({type(error).__name__} {error})") from error
    unknown = re.search(r"\\\w+", formula)
    if unknown:  # it passes an unknown command on as text
        raise ValueError(f"formula {latex!r} cannot be read (unknown command {unknown[0]})")
    return _AFTER.sub(rf"\1{_SPACE}", _BEFORE.sub(_SPACE, formula))


def visit_inline(self: Any, node: nodes.math) -> None:
    """Write an inline formula."""
    self.body.append(_converted(self, node, display=False))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    """Write a displayed formula, with its number if it has one."""
    number = f'<span class="eqno">({node["number"]})</span>' if node.get("number") else ""
    anchors = "".join(f'<span id="{name}"></span>' for name in node["ids"])
    formula = _converted(self, node, display=True)
    self.body.append(f'<div class="math">{anchors}{number}{formula}</div>\n')
    raise nodes.SkipNode


def _converted(writer: Any, node: nodes.Element, *, display: bool) -> str:
    from sphinx.util import logging

    try:
        return to_mathml(node.astext(), display=display)
    except ValueError as error:
        logging.getLogger(__name__).warning(str(error), location=node)
        return f"<code>{writer.encode(node.astext())}</code>"


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer as ``html_math_renderer = "mathml"``."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
