"""The command `program-linking`."""
