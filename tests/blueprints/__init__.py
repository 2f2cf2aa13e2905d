"""The blueprints, driven through outages in a real Home Assistant."""
