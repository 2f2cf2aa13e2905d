"""The SNMP agent of the bridge and its notifications (RFC 1628)."""
