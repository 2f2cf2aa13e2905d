"""One module per field protocol, and the owner of each port."""
