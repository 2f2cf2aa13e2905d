"""UPSes that Network UPS Tools drives, read through its server upsd (FEATURES L5)."""

from .link import NutLink

__all__ = ["NutLink"]
