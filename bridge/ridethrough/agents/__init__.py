"""The protected computers: pairing with their shutdown agents, and the connections to them."""
