"""Loads besides wsload, with one thread each: wrk and h2load, and wireload for TLS and compression."""

import math
import re
import shutil
import subprocess
import time

from . import load, processes
from .paths import BENCHMARKS, CERTIFICATE, FILES, KEY
from .scenarios import HTTP2_CONNECTIONS, HTTP2_STREAMS, TOOL_CONNECTIONS
from .servers import Failure

SIZES = {"4KiB.bin": 4 << 10, "1MiB.bin": 1 << 20}
PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client", "h2load-http2": "nghttp2-client"}
MARGIN_SECONDS = 45
WIRELOAD = load.BUILD / "wireload"


def missing(tool):
    """How to get the tool, if it is not there."""
    if tool == "wireload":
        return load.build_tool(WIRELOAD, [BENCHMARKS / "wire" / "wireload.c"], ["-lssl", "-lcrypto", "-lz"])
    return None if shutil.which(tool.removesuffix("-http2")) else f"{tool} is not there (package {PACKAGES[tool]})"


def make_files():
    """The files that servers send."""
    FILES.mkdir(parents=True, exist_ok=True)
    for name, size in SIZES.items():
        path = FILES / name
        if not path.exists() or path.stat().st_size != size:
            path.write_bytes(bytes(index * 7 % 251 for index in range(size)))
    (FILES / "hello").write_text("hello world.")


def cpu_ns(group):
    """The CPU time of all processes of a server so far."""
    total = 0
    for pid in processes.family(group):
        try:
            total += time.clock_gettime_ns(~pid << 3 | 2)  # the clock of a process, as in clock_getcpuclockid()
        except OSError:
            raise Failure("a process of the server has ended") from None
    return total


def make_certificate():
    """The certificate of servers that use TLS, by a key of P-256."""
    if KEY.exists():
        return
    FILES.mkdir(parents=True, exist_ok=True)
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=localhost"
    done = subprocess.run(["openssl", *words.split(), "-out", CERTIFICATE, "-keyout", KEY], capture_output=True, timeout=60)
    if done.returncode:
        raise SystemExit("openssl makes no certificate:\n" + done.stderr.decode(errors="replace"))


def command(scenario, port, seconds):
    tool = scenario.tool
    if tool == "wireload":
        return [WIRELOAD, port, *scenario.arguments, "-t", seconds]
    url = f"http://127.0.0.1:{port}{scenario.arguments[0]}"
    if tool == "wrk":
        return ["wrk", "-t", "1", "-c", str(TOOL_CONNECTIONS), "-d", f"{seconds}s", url]
    if tool == "h2load-http2":
        load = ["-c", str(HTTP2_CONNECTIONS), "-m", str(HTTP2_STREAMS)]
        return ["h2load", "-t", "1", *load, "-D", str(seconds), url]
    return ["h2load", "--h1", "-t", "1", "-c", str(TOOL_CONNECTIONS), "-D", str(seconds), url]


def completed(tool, out):
    """The number of requests that a run has completed; all must have succeeded."""
    if tool == "wireload":
        return int(out.split()[0])
    if tool == "wrk":
        failed = re.search(r"^ *(Non-2xx or 3xx responses: .*|Socket errors: .*)$", out, re.M)
        found = re.search(r"^ *(\d+) requests in ", out, re.M)
    else:
        failed = re.search(r", ([1-9]\d* failed|[1-9]\d* errored|[1-9]\d* timeout)", out) or \
            re.search(r"^status codes: \d+ 2xx, .*[1-9]\d* [345]xx.*$", out, re.M)
        found = re.search(r"(\d+) succeeded", out)
    if failed:
        raise Failure(failed[1] if failed.groups() else failed[0])
    if not found or not int(found[1]):
        raise Failure(f"{tool} has completed no request")
    return int(found[1])


def run(scenario, running, seconds, options):
    """(CPU ns of the server, requests or messages)."""
    tool = scenario.tool
    before = cpu_ns(running.process.pid)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    words = command(scenario, running.port, seconds)
    process = processes.spawn(words, {options.load_cpu}, processes.MEASURED, **streams)
    try:
        out, _ = process.communicate(timeout=seconds + MARGIN_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure(f"{tool} did not end in time") from None
    finally:
        processes.kill(process)
    running.check()
    if process.returncode:
        raise Failure(f"{tool} ended with status {process.returncode}: {out.strip()[-120:]}")
    requests = completed(tool, out)
    return cpu_ns(running.process.pid) - before, requests


def measure(running, scenario, options):
    """One round. The time of connecting counts, too: 50 connections in some 10,000 requests."""
    run(scenario, running, 1, options)
    seconds = math.ceil(options.seconds)
    used, requests = run(scenario, running, seconds, options)
    return {"cpu_ns": used / requests, "rate": requests / seconds, "requests": requests}
