"""What an event record says about how far everything is known."""

from bourse.matching import v1 as matching


def known_up_to(record: matching.EventRecord) -> int:
    """The last sequence of which everything is said once this part is.

    The last command of a part that is not the last one goes on in the next.
    """
    return record.first_sequence + len(record.commands) - (1 if record.last else 2)
