"""The tables of docs/scale.md: what a number of connections takes, by capacity.py and fleet.py."""

import argparse
import re

from . import capacity, fleet
from .paths import ROOT

DOCUMENT = ROOT / "docs" / "scale.md"
MACHINE = (10_000, 100_000, 1_000_000)
FLEETS = (1_000_000, 10_000_000, 100_000_000)
PER_MACHINE, CORES = 1_000_000, 32
# The simulation follows this many deliveries of machines.
ARRIVALS = 20_000
# A part that can do FAR times as much is no limit.
FAR = 100
# Chance makes a simulated load differ from the arithmetic by this much, of the arithmetic's.
TOLERANCE = 0.05
PARTS = {"connections": "connections", "cores": "CPU time", "gateway": "gateway"}


def table(head, rows):
    rule = "|---" + "|---:" * (len(head) - 1) + "|"
    return "\n".join(["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def amount(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 else f"{value:.2f}"


def machine_table(cost):
    """One server alone: memory, and cores that work all the time."""
    rows = []
    for connections in MACHINE:
        server, kernel = capacity.memory(connections, cost)
        cells = [f"{connections:,}", f"{server / 1e9:.2f} GB", f"{kernel / 1e9:.2f} GB"]
        for work in (capacity.NOTIFICATIONS, capacity.ROOMS, capacity.EVENT):
            cells.append(amount(capacity.loads(work, capacity.Fleet(connections, 1, 1, 1), cost)["cores"]))
        rows.append(cells)
    return table(["connections", "memory of the server", "of the kernel", "cores: notifications", "rooms", "one event"], rows)


def plans(cost):
    """[(work, connections, fleet, what decides its machines and its shards)]"""
    for work in capacity.WORKS:
        for connections in FLEETS:
            yield (work, connections, *capacity.fleet_for(work, connections, PER_MACHINE, CORES, cost))


def messages_for(work, plan):
    return max(50, int(ARRIVALS / capacity.reached(work, plan)))


def percentile(values, share):
    return values[min(len(values) - 1, int(share * len(values)))]


def fleet_rows(cost):
    """[(cells, deviations of the simulation)]"""
    for work, connections, plan, machines_by, shards_by in plans(cost):
        loads = capacity.loads(work, plan, cost)
        simulated, latencies = fleet.simulate(work, plan, cost, messages_for(work, plan))
        off = [f"{work.name}, {connections:,}: {part} {simulated[part]:.3f} instead of {loads[part]:.3f}"
               for part in loads if abs(simulated[part] - loads[part]) > TOLERANCE * loads[part] + 0.005]
        storm = capacity.storm_seconds(plan, cost, True)
        kept = capacity.shard_bytes(work, plan, cost)
        limits = [entry for entry in capacity.limits(work, plan, PER_MACHINE, cost).items() if entry[1] < FAR][:3]
        yield [f"{work.name}, {connections // 1_000_000} M", f"{plan.machines:,}, {PARTS[machines_by]}",
               ", ".join(filter(None, (f"{plan.shards:,}" if plan.shards else "", shards_by))),
               f"{loads['cores']:.0%}", f"{loads['gateway']:.0%}", f"{kept / 1e9:.2f} GB" if plan.shards else "",
               f"{percentile(latencies, 0.5):.2f} / {percentile(latencies, 0.99):.2f}",
               "" if storm is None else amount(storm),
               ", ".join(f"{name} {times:.1f} ×" for name, times in limits)], off


def hot_table(cost):
    """The most messages in a second of one topic, which is in one shard and passes each gateway."""
    rows = []
    for machines in (2, 10, 100, 1000):
        shard = capacity.FULL * 1e9 / (cost["broker-ns"] + machines * cost["broker-server-ns"])
        history = capacity.FULL * 1e9 / (cost["broker-history-ns"] + machines * cost["broker-server-ns"])
        gateway = capacity.FULL * 1e9 / (cost["publish-ns"] / machines + cost["arrive-ns"])
        rows.append([f"{machines:,}", *(f"{floor_to(value):,}" for value in (shard, history, gateway))])
    return table(["machines with subscribers", "shard", "shard, with history", "gateway"], rows)


def floor_to(value):
    """Two digits are all that the costs are good for."""
    unit = 10 ** max(0, len(str(int(value))) - 2)
    return int(value) // unit * unit



def document(cost):
    """([table], deviations)"""
    rows, deviations = [], []
    for cells, off in fleet_rows(cost):
        rows.append(cells)
        deviations += off
    head = ["work, connections", "machines, decided by", "shards, decided by", "cores work", "gateways work",
            "memory of a shard", "p50 / p99, ms", "storm, s", "breaks first, at"]
    return [machine_table(cost), table(head, rows), hot_table(cost)], deviations


def with_tables(text, tables):
    """The document with these tables in the place of those that have the same heads."""
    for rows in tables:
        head = rows.split("\n", 1)[0]
        text, found = re.subn(re.escape(head) + r"\n(\|.*\n)*", lambda _: rows, text)
        if found != 1:
            raise SystemExit(f"docs/scale.md has {found} tables with the head {head}")
    return text


def main(words):
    parser = argparse.ArgumentParser(prog="Benchmarks/scale", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say what differs")
    options = parser.parse_args(words)
    tables, problems = document(capacity.costs())
    before = DOCUMENT.read_text()
    text = with_tables(before, tables)
    if not options.check:
        DOCUMENT.write_text(text)
    elif text != before:
        problems.append("docs/scale.md has other tables than Benchmarks/scale computes with Benchmarks/costs")
    for problem in problems:
        print(problem)
    return 1 if problems else 0
