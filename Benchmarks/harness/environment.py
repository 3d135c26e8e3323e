"""The machine and the versions, without which figures say nothing."""

import os
import platform
import re
import subprocess

from .load import compiler
from .paths import PEERS, ROOT
from .servers import SWIFT_ECHO


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=ROOT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout or done.stderr).strip().split("\n")
    return lines[0] if done.returncode == 0 and lines[0] else None


def cpu_model():
    with open("/proc/cpuinfo") as info:
        match = re.search(r"^(?:model name|Model|Processor)\s*:\s*(.+)$", info.read(), re.M)
    return match[1] if match else platform.machine()


def revision():
    commit = first_line("git", "rev-parse", "--short", "HEAD")
    changed = first_line("git", "status", "--porcelain", "--untracked-files=no")
    return f"{commit} with local changes" if commit and changed else commit


def peer_versions():
    """What install.sh wrote down: {key: version}."""
    try:
        lines = (PEERS / "versions").read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split("\t", 1) for line in lines if "\t" in line)


def environment(command, keys):
    versions = peer_versions()
    facts = {
        "machine": f"{cpu_model()}, {os.cpu_count()} cores, {platform.machine()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler": first_line(*compiler(), "--version"),
        "Swift": first_line("swift", "--version") if SWIFT_ECHO.exists() else None,
        "libuv": first_line("pkg-config", "--modversion", "libuv"),
        "peers": "; ".join(versions[key] for key in keys if key in versions) or None,
        "revision": revision(),
        "load average": "%.2f before the run" % os.getloadavg()[0],
        "command": command,
    }
    return {name: fact for name, fact in facts.items() if fact}
