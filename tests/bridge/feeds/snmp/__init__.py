"""The SNMP agent, asked by strangers."""
