"""The load generator: built here, run once for each round of each server."""

import json
import os
import shlex
import subprocess

from . import processes
from .paths import BENCHMARKS, BUILD
from .servers import Failure

CFLAGS = "-std=gnu11 -D_GNU_SOURCE -O3 -march=native -Wall -Wextra -Wshadow -Wstrict-prototypes"
MARGIN_SECONDS = 45  # connecting, one stall of 10 s, and a slow machine
WSLOAD = BUILD / "wsload"


def compiler():
    return shlex.split(os.environ.get("CC", "gcc"))


def build_tool(program, sources, libraries=(), headers=()):
    """Builds a load from C. Returns None, like a tool that is there."""
    newest = max(path.stat().st_mtime for path in [*sources, *headers])
    if program.exists() and program.stat().st_mtime > newest:
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [*compiler(), *CFLAGS.split(), *map(str, sources), "-o", str(program), *libraries]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if built.returncode:
        raise SystemExit(f"{program.name} does not build:\n" + built.stderr)


def build():
    folder = BENCHMARKS / "load"
    build_tool(WSLOAD, sorted(folder.glob("*.c")), headers=[folder / "wsload.h"])


def measure(running, arguments, options):
    """One measured window against a running server; the figures as wsload gives them."""
    try:
        return run(running.port, arguments, [running.process.pid], options)
    except Failure:
        running.check()  # a dead server is the better explanation
        raise


def run(ports, arguments, pids, options):
    """One measured window; `pids` are processes that are measured with their descendants."""
    warm = max(0.3, min(1.0, options.seconds / 2))
    command = [WSLOAD, "-p", ports, "-t", options.seconds, "-w", warm, "--settle", 1, "--json"]
    command += ["--pids", ",".join(map(str, pids)), "--server-cpu", options.server_cpu, *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = processes.spawn(command, {options.load_cpu}, processes.MEASURED, **streams)
    try:
        out, err = process.communicate(timeout=options.seconds + warm + MARGIN_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure("the load did not end in time") from None
    finally:
        processes.kill(process)
    if process.returncode:
        line = (err.strip().split("\n") or [""])[-1]
        raise Failure((line or f"the load ended with status {process.returncode}")[:160].replace("|", "/"))
    return json.loads(out)
