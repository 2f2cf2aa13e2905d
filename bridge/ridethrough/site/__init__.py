"""The live state of everything the bridge knows, its revisions and its observers."""
