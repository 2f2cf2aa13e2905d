"""UPSes that tell what they have to say by contacts: on modem lines of a serial port, or on inputs of another device."""

from .link import ContactsLink

__all__ = ["ContactsLink"]
