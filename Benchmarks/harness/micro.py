"""Benchmarks of single functions: the C programs in Benchmarks/micro."""

import re
import subprocess

from . import processes
from .load import compiler
from .paths import BENCHMARKS, BUILD, ROOT, shown

LIBRARY = ROOT / ".build" / "cmake" / "libcreactor.a"
PACKAGES = ("libuv", "zlib", "openssl", "hiredis")  # the last one is compared, where it is installed
RUN_SECONDS = 300


def libraries():
    words = []
    for package in PACKAGES:
        found = subprocess.run(["pkg-config", "--libs", package], capture_output=True, text=True)
        words += found.stdout.split() if found.returncode == 0 else []
    return words + ["-lpthread", "-lm"]


def run_one(source, options):
    """(output, failure)"""
    program = BUILD / source.stem
    flags = ["-O3", "-D_GNU_SOURCE", f"-I{ROOT}/include", f"-I{ROOT}/Sources/CReactor"]
    command = [*compiler(), *flags, str(source), str(LIBRARY), *libraries(), "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if built.returncode:
        return "", "does not build:\n" + built.stderr
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = processes.spawn([program], {options.server_cpu}, processes.MEASURED, **streams)
    try:
        out, _ = process.communicate(timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired:
        return "", f"did not end within {RUN_SECONDS} s"
    finally:
        processes.stop(process)
    return out, f"ended with status {process.returncode}" if process.returncode else None


def run(options, say):
    """[{name, output, failure}]"""
    sources = sorted((BENCHMARKS / "micro").glob("*.c"))
    sources = [source for source in sources if re.search(options.only, source.stem)]
    if not sources:
        say("skipped micro: no programs in Benchmarks/micro" + (" match" if options.only else ""))
        return []
    if not LIBRARY.exists():
        say(f"skipped micro: {shown(LIBRARY)} is not there (cmake --build .build/cmake)")
        return []
    BUILD.mkdir(parents=True, exist_ok=True)
    results = []
    for source in sources:
        say(source.stem)
        output, failure = run_one(source, options)
        results.append({"name": source.stem, "output": output, "failure": failure})
    return results
