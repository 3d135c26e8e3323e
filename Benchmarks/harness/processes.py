"""Starting and stopping processes so that nothing is left behind."""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import time

GRACE_SECONDS = 3
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
MEASURED = -18  # priority of what is measured: other programs run when it leaves its CPU, not in between
_libc = ctypes.CDLL(None)


def _prepare(cpus, priority):
    """What a child does before it executes its program."""

    def prepare():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, cpus)
        if priority:
            with contextlib.suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, 0, priority)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    return prepare


def adopt_orphans():
    """Makes this process the parent of every descendant whose own parent ended, so that stop() finds it."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)


def spawn(command, cpus, priority=0, **streams):
    """A child that leads a session and process group of its own. Without the right to it, `priority` has no effect."""
    return subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_prepare(cpus, priority),
        **streams,
    )


def table():
    """(pid, parent, group) of all living processes."""
    rows = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{name}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
            if fields[0] not in "ZX":
                rows.append((int(name), int(fields[1]), int(fields[2])))
    return rows


def family(group, orphans=False):
    """The pids of a process group and all descendants of its members; with orphans of all children."""
    rows = table()
    parent_of_orphans = os.getpid() if orphans else None
    members = {pid for pid, parent, pgrp in rows if pgrp == group or parent == parent_of_orphans}
    while True:
        more = {pid for pid, parent, _ in rows if parent in members and pid not in members}
        if not more:
            return members
        members.update(more)


def kill(process):
    """Ends a child of spawn() that has no children."""
    process.kill()
    process.wait(GRACE_SECONDS)


def stop(process):
    """Ends the last living child of spawn() and everything that it has started, politely at first."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    for _ in range(10):  # a process may have forked while its family was looked up
        members = family(process.pid, orphans=True)
        if not members:
            break
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    process.wait(GRACE_SECONDS)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def listening_ports(pids):
    """The TCP ports on which these processes listen."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    target = os.readlink(f"/proc/{pid}/fd/{fd}")
                    if target.startswith("socket:["):
                        inodes.add(target[8:-1])
    ports = set()
    with open("/proc/net/tcp") as lines:
        for line in list(lines)[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def wait_until(condition, seconds, step=0.02):
    """The first true value of condition(), or None after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            return None
        time.sleep(step)
