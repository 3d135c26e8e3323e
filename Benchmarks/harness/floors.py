"""The least that Swift's runtime takes for a message in a task, by Benchmarks/floors: instructions under callgrind, and
with many tasks, which are in no cache, CPU time."""

import os
import re
import subprocess

from . import processes
from .paths import BENCHMARKS, BUILD, ROOT

FORMS = {
    "callback": "a function is called",
    "async": "a task calls an `async` closure",
    "async-in-place": "the same without going back to its actor between two calls",
    "async-without-preference": "the same without a preferred executor",
    "resumed": "a task is resumed from a continuation",
    "resumed-async": "it is resumed, and calls an `async` closure",
    "task": "a new task calls an `async` closure",
}
MESSAGES = 2000
# Tasks, of which each message resumes another one, and messages.
RESUMED = ((50, 500_000), (1000, 500_000), (10_000, 500_000))
TIMES = 5  # of which the least counts
BUILD_SECONDS, RUN_SECONDS = 300, 120
SWIFT = ("-O", "-wmo", "-swift-version", "6", "-enable-upcoming-feature", "NonisolatedNonsendingByDefault",
         "-Xfrontend", "-disable-dynamic-actor-isolation")


def build():
    """(program, failure)"""
    hook, include = ROOT / "Sources" / "CExecutorHook", ROOT / "Sources" / "CExecutorHook" / "include"
    BUILD.mkdir(parents=True, exist_ok=True)
    found = subprocess.run(["swiftc", "-print-target-info"], capture_output=True, text=True)
    path = re.search(r'"runtimeResourcePath": "(.*)/lib/swift"', found.stdout)
    # Of the toolchain: gcc does not know Swift's calling convention.
    clang = f"{path[1]}/bin/clang" if path else "clang"
    for command in (
        [clang, "-O2", "-c", f"-I{include}", str(hook / "hook.c"), "-o", str(BUILD / "hook.o")],
        ["swiftc", *SWIFT, "-I", str(include), str(BENCHMARKS / "floors" / "floors.swift"), str(BUILD / "hook.o"), "-o",
         str(BUILD / "floors")],
    ):
        built = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS)
        if built.returncode:
            return None, "does not build:\n" + built.stderr
    return BUILD / "floors", None


def count(program, form, messages):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, form, messages]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = processes.spawn(command, os.sched_getaffinity(0), **streams)
    try:
        out, _ = process.communicate(timeout=RUN_SECONDS)
    finally:
        processes.stop(process)
    found = re.search(r"Collected : (\d+)", out)
    return int(found[1]) if found and process.returncode == 0 else None


def nanoseconds(program, tasks, messages):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    found = []
    for _ in range(TIMES):
        process = processes.spawn([program, tasks, messages], os.sched_getaffinity(0), processes.MEASURED, **streams)
        try:
            out, _ = process.communicate(timeout=RUN_SECONDS)
        finally:
            processes.stop(process)
        if process.returncode:
            return None
        found.append(int(out))
    return min(found)


def run(options, say):
    """[{name, output, failure}], one for each form"""
    program, failure = build()
    if failure:
        say(f"skipped floors: {failure}")
        return []
    results = []
    for form, text in FORMS.items():
        if not re.search(options.only, form):
            continue
        say(form)
        once, twice = (count(program, form, messages) for messages in (MESSAGES, 2 * MESSAGES))
        measured = once is not None and twice is not None
        results.append({"name": form,
                        "output": f"{round((twice - once) / MESSAGES):6,}  {text}" if measured else "",
                        "failure": None if measured else "the program or valgrind has failed"})
    for tasks, messages in RESUMED:
        name = f"resumed-of-{tasks}"
        if not re.search(options.only, name):
            continue
        say(name)
        took = nanoseconds(program, tasks, messages)
        results.append({"name": name,
                        "output": "" if took is None else f"{took:6,} ns  one of {tasks:,} tasks is resumed",
                        "failure": "the program has failed" if took is None else None})
    return results
