"""Tests of the Modbus feed."""
