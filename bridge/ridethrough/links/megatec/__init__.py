"""The Megatec (Q1) family of serial protocols: tables of questions, dialects and commands, and the link."""

from .link import MegatecLink

__all__ = ["MegatecLink"]
