"""Errors that software reads, after draft-ietf-dnsop-structured-dns-error-09: I-JSON in the text of an extended error.

A client asks for them by an extended error of its own in the query (section 5.1). It believes them over encrypted DNS
only (section 5.3), and then shows who filtered, why, and whom to turn to, with no page and no certificate.
"""

from __future__ import annotations

import json
from typing import Final

from sumun.model.segment import StructuredErrors

DRAFT: Final = "draft-09"
_NETWORK_OPERATOR_POLICY: Final = 5
"""Sub-error code (section 7.2)."""
_MAX_TEXT: Final = 600
"""Octets; what the draft asks for is short, and an answer has to fit a datagram."""


def structured_text(errors: StructuredErrors, justification: str) -> str:
    """The text for a block; empty where it would be too long with all that is mandatory."""
    said = {"c": [errors.contact], "j": justification, "s": _NETWORK_OPERATOR_POLICY}
    candidates = [said | {"o": errors.organisation}, said] if errors.organisation else [said]
    texts = (json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in candidates)
    return next((text for text in texts if len(text.encode()) <= _MAX_TEXT), "")
