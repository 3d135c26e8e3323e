"""The fixture server as a child process, and what can be seen of its processes from outside."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time

PATIENCE = 30


def processes(group):
    """The title of each process of a group that still runs, by pid."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                state, _, its_group = stat.read().rpartition(b")")[2].split()[:3]
            if int(its_group) != group or state in (b"Z", b"X"):
                continue
            with open(f"/proc/{name}/cmdline", "rb") as title:
                found[int(name)] = title.read().split(b"\0")[0].decode(errors="replace")
        except (OSError, ValueError):
            continue  # it ended while it was looked at
    return found


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def shared_mappings(pid):
    with open(f"/proc/{pid}/maps") as maps:
        return sum("/memfd:" in line for line in maps)


def limit(pid, what, value):
    """Sets a limit of a process and returns the one before, None when the process has ended."""
    try:
        soft, hard = resource.prlimit(pid, what)
        resource.prlimit(pid, what, (soft if value is None else value, hard))
        return soft
    except (ProcessLookupError, PermissionError):
        return None


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def connects(port):
    """Begins a connection and ends it at once."""
    with socket.socket() as client:
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))


def can_listen(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
            return True
        except OSError:
            return False


def milliseconds(count):
    """A Swift `Duration` as JSON: the halves of its number of attoseconds."""
    return list(divmod(count * 10**15, 1 << 64))


class Fixture:
    """A server in a process group of its own. `with` sees to it that nothing is left of it."""

    def __init__(self, program, mode, environment=(), command=lambda *program: program, **configuration):
        """`command` is how the program is started."""
        self.mode = mode
        self.log = tempfile.TemporaryFile()
        self.events = []  # of (name, values)
        configuration = {"scenario": "chaos", "mode": mode} | configuration
        self.process = subprocess.Popen(
            command(program, json.dumps(configuration)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.log, start_new_session=True, env={**os.environ, "SWIFT_BACKTRACE": "enable=no", **dict(environment)})
        self.pid = self.process.pid
        self.port = 0
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            name, values = next(iter(json.loads(line).items()))
            if name == "ready":
                self.port = values["port"]
                self.ready.set()
            self.events.append((name, values))
        self.ready.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.processes():
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join(PATIENCE)
        self.process.stdout.close()
        self.log.close()

    def processes(self):
        return processes(self.pid)

    def pids(self, role):
        """Of the processes with such a title: "worker", "task worker", "manager"."""
        title = re.compile(rf"fixture: {role}( \d+)?$")
        return sorted(pid for pid, its_title in self.processes().items() if title.match(its_title))

    @staticmethod
    def address_space(pid):
        """Bytes; without a process 0."""
        try:
            with open(f"/proc/{pid}/statm") as sizes:
                return int(sizes.read().split()[0]) * os.sysconf("SC_PAGESIZE")
        except OSError:
            return 0

    def signal(self, number, pid=None):
        """False when the process had ended already."""
        try:
            os.kill(pid or self.pid, number)
            return True
        except ProcessLookupError:
            return False

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def wait_ready(self):
        return self.ready.wait(PATIENCE) and self.port > 0

    def wait_gone(self):
        """The exit code of the master, once all processes have ended; None when they do not."""
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return None
        deadline = time.monotonic() + PATIENCE
        while self.processes():
            if time.monotonic() > deadline:
                return None
            time.sleep(0.002)
        self.reader.join(PATIENCE)
        return self.process.returncode
