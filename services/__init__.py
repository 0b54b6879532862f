"""Bourse's own code: words (domain), pipes (runtime), the rooms and the `bourse` command."""
