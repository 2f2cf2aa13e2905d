"""The shutdown agent: runs on a protected computer and does what the bridges that it trusts ask, and nothing else.

Standard library only, Python 3.9 and newer. How it talks to a bridge is said in PROTOCOL.md.
"""

VERSION = "1.0.0"
"""The same as in pyproject.toml."""

__all__ = ["VERSION"]
