"""The API on real sockets; every message is held against the contract, both ways."""
