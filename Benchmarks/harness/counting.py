"""Instructions per message and bytes per idle connection of our servers.

A server runs under callgrind, which counts the user-space instructions of each of its processes. The lockstep client
sends an exact number of messages, once N and once 2 N of them: the difference is what N messages cost, without start,
connection and stop. Server and client share one CPU, so process mode does not spin and its processes take turns.
"""

import contextlib
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .load import compiler
from .paths import BENCHMARKS, BUILD, ROOT

START_SECONDS = 60  # a server under callgrind on a busy machine
LOAD_SECONDS = 180
STOP_SECONDS = 60
IDLE_CONNECTIONS = 5000
SETTLE_SECONDS = 30
LOCKSTEP = BUILD / "lockstep"
CFLAGS = "-std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -Wstrict-prototypes"


class Failure(Exception):
    """Why something could not be measured, in one line."""


@dataclass(frozen=True)
class Work:
    name: str
    arguments: tuple  # of lockstep
    depth: int  # messages per batch
    batches: int  # N, in batches


WORKS = [
    Work("ws-64B-x16", ("-k", 16, "-s", 64), 16, 1000),
    Work("ws-64B-x1", ("-k", 1, "-s", 64), 1, 4000),
    Work("ws-16KiB-x1", ("-k", 1, "-s", 16 << 10), 1, 1500),
    Work("http-hello-x1", ("-k", 1, "--http"), 1, 4000),
    Work("http-hello-x16", ("-k", 16, "--http"), 16, 500),
    Work("http2-hello-x32", ("-k", 32, "--http2"), 32, 200),
]
SERVERS = {
    "c": ("c-echo", ()),
    "callback": ("echo", ("--mode", "base", "--handler", "callback")),
    "span": ("echo", ("--mode", "base", "--handler", "span")),
    "async": ("echo", ("--mode", "base", "--handler", "async")),
    "straight": ("echo", ("--mode", "base", "--handler", "straight")),
    "routed": ("echo", ("--mode", "base", "--handler", "routed")),
    "prepared": ("echo", ("--mode", "base", "--handler", "prepared")),
    "wrapped": ("echo", ("--mode", "base", "--handler", "wrapped")),
    "logged": ("echo", ("--mode", "base", "--handler", "logged")),
    "process": ("echo", ("--mode", "process", "--handler", "callback")),
    "p-straight": ("echo", ("--mode", "process", "--handler", "straight")),
}
HTTP2_SERVERS = ("c", "callback", "async", "straight", "process")
IDLE = "idle-bytes"
IDLE_SERVERS = ("c", "callback", "process")


def rows():
    """Every (work, server) that is measured. A request handler takes no bytes, so `span` stands for the WebSocket handler
    only, as do `straight` and `p-straight`; `routed` is a handler of requests. What surrounds it is measured with 16 of
    them in flight. HTTP/2 adds the same to each of them: a few stand for all."""
    surrounded = ("prepared", "wrapped", "logged")
    for work in WORKS:
        others = ("span", "straight", "p-straight")
        if work.name.startswith("ws-"):
            others = ("routed",) + surrounded
        elif work.name.startswith("http2-"):
            others = tuple(server for server in SERVERS if server not in HTTP2_SERVERS)
        elif work.depth == 1:
            others += surrounded
        for server in SERVERS:
            if server not in others:
                yield work.name, server
    for server in IDLE_SERVERS:
        yield IDLE, server


def build_client():
    source = BENCHMARKS / "count" / "lockstep.c"
    if LOCKSTEP.exists() and LOCKSTEP.stat().st_mtime > source.stat().st_mtime:
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [*compiler(), *CFLAGS.split(), str(source), "-o", str(LOCKSTEP)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if built.returncode:
        raise SystemExit("lockstep does not build:\n" + built.stderr)


def prepare_programs(tree, folder):
    """Copies of the programs without debug information, which callgrind cannot read in full."""
    found = {
        "c-echo": tree / ".build/cmake/examples/c-echo",
        "echo": tree / ".build/examples/release/echo",
    }
    for name, path in found.items():
        if not path.exists():
            raise SystemExit(f"{path} does not exist; ./dev budget builds it")
        subprocess.run(["strip", "--strip-debug", "-o", str(folder / name), str(path)], check=True, timeout=60)


def command_of(server, programs):
    program, options = SERVERS[server]
    command = [programs / program, "--host", "127.0.0.1", "--port", "0", *options]
    return command + (["--workers", "1", "--reactors", "1"] if program == "echo" else [])


class Running:
    """A server with its output in a folder of its own, pinned to one CPU."""

    def __init__(self, command, cpu, folder):
        self.folder = folder
        # The same hash seeds in each run of a Swift program, and a heap that grows by pages instead of 128 KiB.
        environment = {**os.environ, "SWIFT_DETERMINISTIC_HASHING": "1", "MALLOC_TOP_PAD_": "0"}
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            self.process = processes.spawn(command, {cpu}, stdout=out, stderr=err, cwd=folder, env=environment)
        self.port = processes.wait_until(self._find_port, START_SECONDS, step=0.05)

    def _find_port(self):
        if self.process.poll() is not None:
            raise Failure(f"the server ended with status {self.process.returncode}{self._last_line()}")
        found = re.search(r"^ready (\d+)\b.*\n", (self.folder / "out").read_text(errors="replace"), re.M)
        return int(found[1]) if found else None

    def _last_line(self):
        lines = (self.folder / "err").read_text(errors="replace").split("\n")
        lines = [line.strip() for line in lines if line.strip()]
        return f": {lines[-1][:160]}" if lines else ""

    def stop(self):
        """Stops the server in order and waits for all of its processes, so that each has written its counts."""
        if not self.port:
            raise Failure(f"the server did not accept within {START_SECONDS} s{self._last_line()}")
        self.process.terminate()
        if not processes.wait_until(lambda: self.process.poll() is not None, STOP_SECONDS, step=0.05):
            raise Failure(f"the server did not stop within {STOP_SECONDS} s")
        if not processes.wait_until(lambda: not processes.family(self.process.pid, orphans=True), STOP_SECONDS):
            raise Failure("a process of the server is left")


@contextlib.contextmanager
def started(command, cpu, folder):
    running = Running(command, cpu, folder)
    try:
        yield running
    finally:
        processes.stop(running.process)


def count(server, work, batches, cpu, programs):
    """The instructions of all processes of a server that answers `batches` batches, and the number of processes."""
    with tempfile.TemporaryDirectory(prefix="count-") as name:
        folder = Path(name)
        # In a file, because setting a process title overwrites the arguments that valgrind would read again in a
        # forked process.
        (folder / ".valgrindrc").write_text(f"--callgrind:callgrind-out-file={folder}/counts.%p\n")
        command = ["valgrind", "--tool=callgrind", "--quiet", *command_of(server, programs)]
        with started(command, cpu, folder) as running:
            if running.port:
                run_client([*work.arguments, "-n", batches], running, cpu)
            running.stop()
        totals = []
        for path in folder.glob("counts.*"):
            found = re.search(r"^totals: (\d+)$", path.read_text(errors="replace"), re.M)
            if not found:
                raise Failure("a process ended before it wrote its counts")
            totals.append(int(found[1]))
        return sum(totals), len(totals)


def run_client(arguments, running, cpu):
    client = processes.spawn([LOCKSTEP, "-p", running.port, *arguments], {cpu}, stderr=subprocess.PIPE)
    try:
        _, err = client.communicate(timeout=LOAD_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure(f"the load did not end within {LOAD_SECONDS} s") from None
    finally:
        processes.kill(client)
    if client.returncode:
        raise Failure(err.decode(errors="replace").strip() or f"the load ended with status {client.returncode}")


def instructions(server, work, cpu, programs):
    """Instructions per message."""
    once, some = count(server, work, work.batches, cpu, programs)
    twice, same = count(server, work, 2 * work.batches, cpu, programs)
    if some != same or not some:
        raise Failure(f"{some} processes in one run, {same} in the other")
    return (twice - once) / (work.batches * work.depth)


def private_memory(group):
    """Bytes of memory that belong to a group of processes: anonymous and shared memory, each page counted once. Pages
    of files are not: how many of them there are depends on who else maps the same libraries."""
    total = 0
    for pid in processes.family(group):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        for kind in "Pss_Anon", "Pss_Shmem":
            found = re.search(rf"^{kind}: +(\d+) kB", text, re.M)
            if not found:
                raise Failure("the kernel does not report proportional memory by kind (5.4 or later does)")
            total += int(found[1]) * 1024
    return total


def settled_memory(group):
    """private_memory once it has been the same for 3 s: workers learn of connections after clients do, and the memory of
    a burst is given back after a second without records."""
    deadline, samples = time.monotonic() + SETTLE_SECONDS, []
    while len(samples) < 10 or len(set(samples[-10:])) > 1:
        if time.monotonic() > deadline:
            raise Failure(f"memory still changes after {SETTLE_SECONDS} s")
        time.sleep(0.3)
        samples.append(private_memory(group))
    return samples[-1]


def idle_bytes(server, cpu, programs):
    """Bytes of process memory per idle WebSocket connection."""
    with tempfile.TemporaryDirectory(prefix="idle-") as name:
        with started(command_of(server, programs), cpu, Path(name)) as running:
            if not running.port:
                running.stop()
            before = settled_memory(running.process.pid)  # processes still start when the port is ready
            command = [LOCKSTEP, "-p", running.port, "--idle", IDLE_CONNECTIONS]
            client = processes.spawn(command, {cpu}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                if client.stdout.readline() != b"open\n":
                    raise Failure(client.stderr.read().decode(errors="replace").strip())
                return (settled_memory(running.process.pid) - before) / IDLE_CONNECTIONS
            finally:
                processes.kill(client)


def environment():
    """What the numbers depend on besides the sources."""

    def version(command, pattern):
        with contextlib.suppress(OSError):
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            found = re.search(pattern, done.stdout + done.stderr)
            if found:
                return found[1]
        return "none"

    parts = [
        "gcc " + version([*compiler(), "-dumpfullversion"], r"(\d+\.\d+)"),
        "Swift " + version(["swift", "--version"], r"Swift version (\d+\.\d+(\.\d+)?)"),
        "valgrind " + version(["valgrind", "--version"], r"valgrind-(\d+\.\d+)"),
        "glibc " + version(["getconf", "GNU_LIBC_VERSION"], r"(\d+\.\d+)"),
        os.uname().machine,
    ]
    flags = Path("/proc/cpuinfo").read_text()
    parts.append("avx2" if re.search(r"\bavx2\b", flags) else "no avx2")
    return ", ".join(parts)


__all__ = [
    "Failure", "IDLE", "ROOT", "SERVERS", "WORKS", "build_client", "environment", "idle_bytes", "instructions",
    "prepare_programs", "rows",
]
