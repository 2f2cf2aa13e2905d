"""The WebSocket and REST interface: authentication, roles, contract."""
