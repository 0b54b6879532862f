"""Halted shards and skipped records: the core in C is held against the model."""

from collections import Counter
from random import Random

import pytest

from bourse.matching import v1 as matching
from tests.model.comparison import Given
from tests.model.halting import HaltingComparison, HaltingWriter
from tests.model.worlds import LARGE, SMALL

RECORDS = 200


@pytest.mark.parametrize("seed", range(8))
def test_halted_shards_agree(seed: int) -> None:
    """Every seventh record of some of them is one that operators had to skip."""
    comparison = HaltingComparison(seed % 2, validate_every=20)
    model = comparison.model.model
    writer = HaltingWriter(Random(seed), model, LARGE if seed % 4 == 3 else SMALL)
    opening = writer.opening()
    seen: Counter[int] = Counter()
    for number in range(RECORDS):
        record = opening.pop(0) if opening else writer.record(12)
        skips = seed % 2 == 0 and number > 4 and number % 7 == 0
        given = Given(writer.pass_time(), record)
        comparison.skip(given) if skips else comparison.give(given)
        seen.update(mark.refusal for mark in model.record.commands)
        if number % 40 == 39:
            comparison.compare_state()
            comparison.restore()
    assert seen[matching.REFUSAL_SHARD_HALTED] > 10
    assert (seen[matching.REFUSAL_ENGINE_REFUSED] > 10) == (seed % 2 == 0)
    assert seen[matching.REFUSAL_UNSPECIFIED] > 100
