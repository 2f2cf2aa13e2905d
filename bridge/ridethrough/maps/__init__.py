"""Register maps and object tables as data: the links that read them and the feeds that serve them find them here."""
