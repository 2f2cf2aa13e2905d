"""What feeds cost, part by part: `scripts/bench feeds`, or `scripts/bench feeds NAME …` for some of the parts alone.

Each part is a module with an `async def main()`. It prints its figures, and ratios against a reference in the same run.
"""

PARTS = {
    "modbus": "Modbus: requests against stock pymodbus and a bare loop",
    "snmp": "SNMP: GET and walks against Debian's snmpd",
    "bacnet": "BACnet/IP: properties read",
    "all_on": "All feeds on, with 512 modules changing every second",
}
"""In the order in which they are run."""
