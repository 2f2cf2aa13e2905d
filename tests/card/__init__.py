"""The status card in a real browser, with a stub of what Home Assistant gives to cards."""
