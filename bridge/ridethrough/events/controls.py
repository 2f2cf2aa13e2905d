"""Control characters, which end lines, headers and messages where strangers' texts have them."""

import re

# Line and paragraph separators too.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def without_controls(text: str) -> str:
    """Put a blank for each run of control characters, so that a text is one line in whatever shows it."""
    return _CONTROL.sub(" ", text)


__all__ = ["without_controls"]
