"""The core with parts of a hundredth of their size, beside the model: parts end wherever they may.

What a command does is cut into steps, and between any two of them a part can be full. Here it is
full after nearly every one.
"""

from pathlib import Path

from tests.native.sanitized import run_with
from tools.proofs.building import SMALL_PART_BYTES, compile_extension, copy_native

AGAINST_MODEL = ["tests/model/test_core_against_model.py", "-k", "short_histories or edges"]


def test_parts_may_end_between_any_two_steps(tmp_path: Path) -> None:
    native = copy_native(tmp_path, {}, SMALL_PART_BYTES)
    extension = compile_extension(tmp_path / "_core.so", ["-O0"], native)
    run_with(extension, AGAINST_MODEL)
