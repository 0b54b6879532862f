"""The contracts. Written by tools/gen from proto/."""
