"""Text of others on the page."""

import re
from html import escape

from cwlbalsam.service.report.units import count

TEXT_CHARACTERS = 4000


def say(text: str, most: int = TEXT_CHARACTERS) -> str:
    """Text of a document, a file name or a program, as HTML that shows just that."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)
    if len(text) > most:
        text = f"{text[: most // 2]}\n[... {count(len(text) - most)} characters left out ...]\n{text[-most // 2 :]}"
    # A name must not turn the text around it.
    return escape(re.sub(r"[\u202a-\u202e\u2066-\u2069]", "\N{REPLACEMENT CHARACTER}", text))
