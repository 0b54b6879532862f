"""Written by tools/gen from proto/."""
