"""An existing BACS web manager, read by Modbus and by SNMP."""
