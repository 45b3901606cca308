"""The console's own HTML: one layout, one style sheet, no script, and nothing that is not escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from sumun.pages.html import STYLE, minified


def _template(name: str) -> str:
    return (files("sumun.console") / "templates" / name).read_text("utf-8")


_STYLE = STYLE + minified(_template("console.css"))
_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_TEMPLATES = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(_template)
)
# INVARIANT: the style sheet comes from our own packages.
_TEMPLATES.globals["style"] = Markup(_STYLE)  # noqa: S704 - see the invariant above


def page(template: str, *, area: str, status: int = 200, values: Mapping[str, object] | None = None) -> HTMLResponse:
    """A page of the console; ``area`` is the path whose entry of the navigation is the current one."""
    text = _TEMPLATES.get_template(template).render(area=area, **(values or {}))
    # Forms tell their origin only where the referrer's policy is not "no-referrer" (Fetch, 3.1).
    return HTMLResponse(text, status, {"content-security-policy": _POLICY, "referrer-policy": "same-origin"})
