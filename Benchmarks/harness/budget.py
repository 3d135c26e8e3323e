"""Measures every row of Benchmarks/budgets and compares it with its limit."""

import argparse
import concurrent.futures
import math
import multiprocessing
import os
import re
import sys
import tempfile
from pathlib import Path

from . import counting, processes
from .paths import BENCHMARKS, ROOT

FILE = BENCHMARKS / "budgets"
# Runs of one build differ by 0.4 % at most. In process mode the scheduler decides when each process looks into its
# rings: 0.6 %, and 1.0 % while other programs use the CPU.
TOLERANCE, PROCESS_TOLERANCE = 0.01, 0.02
# A row that is this far below its limit can get a lower one.
SLACK = 0.05
# A busy machine may add turns of the loop, never remove any: a row over its limit is measured again.
ATTEMPTS = 3
MADE_WITH = "made with: "


def parse_budgets(text):
    """(environment, {(work, server): limit}) of the file."""
    environment, limits = "", {}
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].split()
        if line.startswith("# " + MADE_WITH):
            environment = line.removeprefix("# " + MADE_WITH).strip()
        elif content:
            if len(content) != 3 or not content[2].isdigit():
                raise SystemExit(f"Benchmarks/budgets:{number}: expected WORK SERVER LIMIT")
            limits[content[0], content[1]] = int(content[2])
    return environment, limits


def measure(work, server, programs, cpus):
    """Runs in a process of the pool, which has a CPU for itself."""
    cpu = cpus[multiprocessing.current_process()._identity[0] % len(cpus)]
    try:
        if work == counting.IDLE:
            return counting.idle_bytes(server, cpu, programs), ""
        (known,) = (known for known in counting.WORKS if known.name == work)
        return counting.instructions(server, known, cpu, programs), ""
    except counting.Failure as failure:
        return None, str(failure)


def verdict(server, value, limit):
    """(status, remark); the status is one of ok, over, lower."""
    change = f"{(value - limit) / limit:+.1%}"
    if value > limit * (1 + (PROCESS_TOLERANCE if server in ("process", "p-straight") else TOLERANCE)):
        return "over", f"{change}: over budget"
    if value < limit * (1 - SLACK):
        return "lower", f"{change}: the limit can be lowered to {math.ceil(value)}"
    return "ok", change


def measure_all(pool, rows, limits, programs, cpus):
    """{row: (value, failure)}; what is over its limit is measured again."""
    results, pending = {}, rows
    for _ in range(ATTEMPTS):
        runs = {row: pool.submit(measure, *row, programs, cpus) for row in pending}
        for row, run in runs.items():
            value, failure = run.result()
            before = results.get(row, (None, ""))[0]
            if before is not None and (value is None or value > before):
                value, failure = before, ""
            results[row] = value, failure
        pending = [row for row in rows if results[row][0] is None or
                   row in limits and verdict(row[1], results[row][0], limits[row])[0] == "over"]
    return results


def report(results, limits):
    """Prints the table; returns the rows that fail."""
    failed = []
    print(f"{'work':16}{'server':10}{'measured':>10}{'limit':>9}")
    for (work, server), (value, failure) in results.items():
        limit = limits.get((work, server))
        status, remark = ("over", failure) if value is None else ("ok", "no limit yet") if limit is None else \
            verdict(server, value, limit)
        measured = "-" if value is None else f"{value:.1f}"
        print(f"{work:16}{server:10}{measured:>10}{limit or '-':>9}  {remark}")
        if status == "over" or limit is None:
            failed.append((work, server))
    return failed


def lower(results, limits):
    """Writes the measured values as limits where they are lower, and where there is none yet."""
    lines, written = [], set()
    for line in FILE.read_text().splitlines():
        content = line.split()
        row = tuple(content[:2])
        if len(content) == 3 and row in results and results[row][0] is not None:
            line = f"{row[0]:16}{row[1]:10}{min(limits[row], math.ceil(results[row][0])):>8}"
            written.add(row)
        lines.append(f"# {MADE_WITH}{counting.environment()}" if line.startswith("# " + MADE_WITH) else line)
    for row, (value, _) in results.items():
        if row not in written and value is not None:
            lines.append(f"{row[0]:16}{row[1]:10}{math.ceil(value):>8}")
    FILE.write_text("\n".join(lines) + "\n")


def main(words):
    parser = argparse.ArgumentParser(prog="Benchmarks/check-budgets", description=__doc__)
    parser.add_argument("--tree", type=Path, default=ROOT, help="measure the programs built in another checkout")
    parser.add_argument("--only", default="", metavar="PATTERN", help="regular expression on 'work server'")
    parser.add_argument("--lower", action="store_true", help="lower the limits to what was measured")
    parser.add_argument("--comparable", action="store_true",
                        help="only check that the limits were made with the tools that are here")
    options = parser.parse_args(words)
    made_with, limits = parse_budgets(FILE.read_text())
    here = counting.environment()
    comparable = made_with == here
    if options.comparable:
        print(f"limits made with {made_with}; here: {here}")
        return 0 if comparable else 1

    rows = [row for row in counting.rows() if re.search(options.only, " ".join(row))]
    unknown = [row for row in limits if row not in set(counting.rows())]
    if unknown or not rows:
        print(f"no such row: {', '.join(map(' '.join, unknown)) or options.only}")
        return 1
    counting.build_client()
    cpus = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="budget-") as name:
        programs = Path(name)
        counting.prepare_programs(options.tree.resolve(), programs)
        # Each process of the pool starts servers and takes over what they leave, so that nothing survives.
        with concurrent.futures.ProcessPoolExecutor(
                len(cpus), multiprocessing.get_context("fork"), processes.adopt_orphans) as pool:
            results = measure_all(pool, rows, limits, programs, cpus)
    failed = report(results, limits)
    if options.lower:
        lower(results, limits)
        return 0
    if not comparable:
        print(f"limits made with {made_with}; here: {here}: not comparable")
        return 0
    if failed:
        print(f"{len(failed)} of {len(results)} rows failed; Benchmarks/budgets says how to change a limit")
    return 1 if failed else 0


def run():
    try:
        return main(sys.argv[1:])
    except KeyboardInterrupt:
        return 130
