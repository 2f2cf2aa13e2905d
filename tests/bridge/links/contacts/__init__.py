"""The contacts link."""
