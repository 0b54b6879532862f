"""Running tests in another process, with AddressSanitizer and UBSan watching what C does.

`run_sanitized` builds the extension anew with both and starts pytest on some files; there this
module is a plugin, which puts that extension in the place of the ordinary one.
"""

import os
import subprocess
import sys
import sysconfig
import tomllib
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = "services.matching._core"
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# Names the extension to put in place, in the process that the sanitizer watches.
EXTENSION = "BOURSE_TEST_EXTENSION"


def build_extension(folder: Path) -> Path:
    """The extension as pyproject.toml builds it, and with the sanitizers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extension = project["tool"]["setuptools"]["ext-modules"][0]
    includes = [*extension["include-dirs"], sysconfig.get_paths()["include"]]
    target = folder / "_core.so"
    command = ["gcc", "-shared", "-fPIC", "-g", *extension["extra-compile-args"], *SANITIZERS]
    command += [f"-I{ROOT / folder}" for folder in includes]
    command += [str(ROOT / source) for source in extension["sources"]]
    # What cffi and Python write does not hold itself to our warnings.
    command += ["-Wno-error", "-Wno-unused-parameter", "-o", str(target)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    return target


def run_sanitized(files: list[str], *options: str, extension: Path | None = None) -> None:
    """Run pytest on these files, names from the root. Fails with what it said unless all pass."""
    runtime = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}
    _run_pytest([*options, *files], extension, environment)


def run_with(extension: Path, files: list[str]) -> None:
    """The same with an extension that was built otherwise, and nobody watching."""
    _run_pytest(files, extension, {})


def _run_pytest(words: list[str], extension: Path | None, more: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += ["--noconftest", "-p", "tests.native.sanitized", *words]
    environment = {**os.environ, **more}
    done = subprocess.run(
        command,
        env=environment | ({EXTENSION: str(extension)} if extension else {}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def is_watched() -> bool:
    """Whether this is the process that the sanitizers watch."""
    return "libasan" in os.environ.get("LD_PRELOAD", "")


def _put_in_place(path: str) -> None:
    spec = spec_from_file_location(MODULE, path, loader=ExtensionFileLoader(MODULE, path))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)


if EXTENSION in os.environ:
    _put_in_place(os.environ[EXTENSION])
