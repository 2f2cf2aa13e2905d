"""BACnet/IP: a device whose objects are the points and conditions of the site (manual M:2020)."""
