"""The page's values → HTML. All markup is in the templates; every value in one is made inert, then escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bulkpatch.reporting.glance import rfc3339
from bulkpatch.reporting.inert import NOTHING, one_line
from bulkpatch.reporting.page.facts import Page
from bulkpatch.reporting.page.shapes import Kind, Table

TEXT_CHARS_MAX: Final = 4_200
"""Characters of one text: a command may hold a path of 4,096 bytes."""
CELL_CHARS_MAX: Final = 300
"""Characters of a cell that is not cut shorter by itself."""

_DAY_S: Final = 86_400
_HOUR_S: Final = 3600
_PACKAGE: Final = "bulkpatch.reporting.page"


def render(page: Page) -> str:
    """The whole document."""
    return _document("page.html", page=page)


def render_table(table: Table, *, title: str) -> str:
    """A document of one table, in the same dress."""
    return _document("table.html", table=table, title=title)


def _document(template: str, **values: Any) -> str:
    environment = _environment()
    sources = environment.loader
    assert sources is not None  # noqa: S101  (set below)
    style, script = (sources.get_source(environment, name)[0] for name in ("style.css", "script.js"))
    own = f"style-src {_hashed(style)}; script-src {_hashed(script)}"
    policy = f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"
    # Ours alone: read from the package, and pinned by the policy byte for byte.
    ours = {"style": Markup(style), "script": Markup(script)}  # noqa: S704
    return environment.get_template(template).render(policy=policy, **ours, **values) + "\n"


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_inert,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"shown": shown, "nothing": lambda value: value is None or value == ""}
    return made


def _inert(value: Any) -> Any:
    """What stands in for every value that a template prints; what a template made itself is markup already."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else one_line(value, limit=TEXT_CHARS_MAX)


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def shown(value: Any, kind: Kind) -> str:
    """A cell's text, by what its column holds."""
    if value is None or value == "":
        return NOTHING
    form = _FORMS.get(kind)
    return form(value) if form is not None else one_line(str(value), limit=CELL_CHARS_MAX)


def _span(seconds: float) -> str:
    for size, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"


def _when(value: Any) -> str:
    """To the second, in UTC; a time that is a text already is cut likewise."""
    text = value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else str(rfc3339(value))
    return one_line(text[:19].replace("T", " "))


_FORMS: Final[Mapping[Kind, Callable[[Any], str]]] = {
    "count": lambda value: f"{value:,}",
    "ms": lambda value: f"{value:,.3g}" if value < 1000 else f"{value:,.0f}",  # noqa: PLR2004  (four digits are enough)
    "share": lambda value: f"{value:.1%}",
    "mb": lambda value: f"{value:,.1f}",
    "span": _span,
    "when": _when,
}
