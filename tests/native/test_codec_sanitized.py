"""The tests of the codec once more, with AddressSanitizer and UBSan watching every byte."""

import os
import subprocess
import sys
from pathlib import Path

from tests.native.codec_library import ASK_FOR_SANITIZER

HERE = Path(__file__).parent


def test_the_codec_stays_within_its_bytes() -> None:
    # The sanitizer has to be there before Python is, so it is another process.
    sanitizer = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    options = ["-q", "--noconftest", "-p", "no:cacheprovider"]
    tests = [HERE / "test_codec.py", HERE / "test_codec_shape.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *map(str, tests)],
        env={
            **os.environ,
            ASK_FOR_SANITIZER: "1",
            "LD_PRELOAD": sanitizer,
            "ASAN_OPTIONS": "detect_leaks=0",
        },
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
