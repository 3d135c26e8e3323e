"""Options, the order of the rounds, and the output."""

import argparse
import json
import os
import re
import shlex
import signal
import sys
from pathlib import Path

from . import cluster, floors, load, micro, plot, processes, tools
from .environment import environment
from .report import Row, curves, markdown
from .scenarios import scenarios
from .servers import PEER_KEYS, PEERS_OF, REFERENCES, Failure, ours, started

SUBJECTS = (
    "ws", "http", "http2", "broadcast", "cluster", "connections", "idle", "tcp", "tls", "deflate", "micro", "floors",
)
CURVES = (("cpu_ns", "CPU µs per message", 1000), ("p99", "99th percentile of the latency, ms", 1000))
ONLY_HELP = "regular expression on 'scenario server', as '64B-x16 Swift base'; the reference stays"
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(text):
    print(text, file=sys.stderr, flush=True)


def pattern(text):
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"not a regular expression: {error}") from None
    return text


def peer_list(text):
    keys = [key for key in text.split(",") if key and key != "none"]
    unknown = [key for key in keys if key not in PEER_KEYS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no peer {unknown[0]}; there are {', '.join(PEER_KEYS)} and none")
    return keys


def folder(text):
    path = Path(text).resolve()
    if not (path / ".build").is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no checkout in which anything was built")
    return path


def positive(kind):
    def parse(text):
        value = kind(text)
        if value <= 0:
            raise ValueError
        return value

    parse.__name__ = f"positive {kind.__name__}"
    return parse


def parse_arguments(words):
    cpus = os.sched_getaffinity(0)
    parser = argparse.ArgumentParser(prog="Benchmarks/run", description="CPU time for the same work.")
    add = parser.add_argument
    add("subject", nargs="?", default="ws", choices=SUBJECTS)
    add("--seconds", type=positive(float), default=2, metavar="S", help="measured in each round (2)")
    add("--rounds", type=positive(int), default=5, metavar="N", help="of which the median is taken (5)")
    peers_help = f"of {', '.join(PEER_KEYS)}; or none"
    add("--peers", type=peer_list, default=PEER_KEYS, metavar="A,B", help=peers_help)
    add("--only", type=pattern, default="", metavar="PATTERN", help=ONLY_HELP)
    add("--mode", choices=("process", "base"), help="only this mode of the Swift server")
    add("--before", type=folder, metavar="DIR", help="our servers of another checkout, built there, in the same run")
    add("--conns", type=positive(int), default=5000, metavar="N", help="idle connections (5000)")
    add("--server-cpu", type=int, default=min(cpus), metavar="N", help="for the server (the first)")
    add("--load-cpu", type=int, default=max(cpus), metavar="N", help="for the load (the last)")
    add("--both-cpus", action="store_true", help="let servers of several processes use both CPUs")
    add("--plot", type=Path, metavar="FILE", help="with connections: CPU time and latency drawn as SVG")
    add("--json", action="store_true", help="one JSON document with all rounds instead of tables")
    options = parser.parse_args(words)
    if options.plot and options.subject != "connections":
        parser.error("--plot draws 'connections' only")
    for cpu in (options.server_cpu, options.load_cpu):
        if cpu not in cpus:
            parser.error(f"CPU {cpu} cannot be used here")
    return options


def select_servers(options):
    modes = (options.mode,) if options.mode else ("base", "process")
    peers = [server for server in PEERS_OF[options.subject] if server.key in options.peers]
    found, said = [], set()
    before = ours(options.subject, modes, options.before) if options.before else ()
    for server in [*ours(options.subject, modes), *before, *peers]:
        if not server.missing:
            found.append(server)
        elif server.needs not in said:
            said.add(server.needs)
            say(f"skipped {server.name.split(' base')[0].split(' process')[0]}: {server.missing}")
    return found


def select_rows(scenario, servers, only):
    servers = [server for server in servers if re.search(scenario.servers, server.name)]
    wanted = [server for server in servers if re.search(only, f"{scenario.key} {server.name}")]
    if not wanted:
        return []
    if scenario.tool != "wsload" and (hint := tools.missing(scenario.tool)):
        say(f"skipped {scenario.key}: {hint}")
        return []
    return [Row(server) for server in servers if server in wanted or server.name in REFERENCES]


def measure_row(row, scenario, options):
    cpus = {options.server_cpu}
    if options.both_cpus and row.server.many:
        cpus.add(options.load_cpu)
    try:
        with started(row.server, cpus) as running:
            if scenario.tool == "wsload":
                row.rounds.append(load.measure(running, scenario.arguments, options))
            else:
                row.rounds.append(tools.measure(running, scenario, options))
    except Failure as failure:
        row.failure = str(failure)
        say(f"  {row.server.name}: {failure}")


def measure_scenario(scenario, rows, options):
    """Rounds are interleaved, A B C A B C, so that a change of the machine meets all alike."""
    for round_number in range(options.rounds):
        say(f"{scenario.title}: round {round_number + 1} of {options.rounds}")
        for row in rows:
            if not row.failure:
                measure_row(row, scenario, options)


def run_load(options, facts):
    load.build()
    if options.subject in ("http", "http2"):
        tools.make_files()
    if options.subject == "tls":
        tools.make_certificate()
    results, measured = [], []
    servers = select_servers(options)
    keys = [server.key for server in servers if server.key]
    facts.update(environment(facts.pop("command"), keys))
    if not options.json:
        print_facts(facts)
    for scenario in scenarios(options.subject, options.conns):
        rows = select_rows(scenario, servers, options.only)
        if not rows:
            continue
        measure_scenario(scenario, rows, options)
        measured.append((scenario, rows))
        rounds = [row.as_dict() for row in rows]
        results.append({"scenario": scenario.key, "title": scenario.title, "rows": rounds})
        if not options.json:
            print(markdown(scenario, rows), flush=True)
    if options.plot and measured:
        options.plot.write_text(plot.svg(curves(measured, CURVES)))
    return results, any(row["rounds"] for result in results for row in result["rows"])


def run_cluster(options, facts):
    load.build()
    facts.update(environment(facts.pop("command"), []))
    if not options.json:
        print_facts(facts)
    results = cluster.run(options, say)
    return results, any(row["rounds"] for result in results for row in result["rows"])


def run_micro(options, facts):
    facts.update(environment(facts.pop("command"), []))
    if not options.json:
        print_facts(facts)
    results = micro.run(options, say)
    if not options.json:
        for result in results:
            print(f"## {result['name']}\n\n{result['output']}")
            if result["failure"]:
                print(f"failed: {result['failure']}\n")
    return results, any(not result["failure"] for result in results)


def run_floors(options, facts):
    facts.update(environment(facts.pop("command"), []))
    if not options.json:
        print_facts(facts)
    results = floors.run(options, say)
    if not options.json:
        print("instructions per message\n")
        for result in results:
            print(f"{result['name']:26}{result['failure'] or result['output']}")
    return results, any(not result["failure"] for result in results)


def print_facts(facts):
    print("\n".join(f"- {name}: {fact}" for name, fact in facts.items()) + "\n", flush=True)


def interrupted(number, frame):
    for other in STOPPING:  # once is enough; a second one must not cut the cleaning up short
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(words):
    options = parse_arguments(words)
    for number in STOPPING:
        signal.signal(number, interrupted)
    processes.adopt_orphans()
    facts = {"command": shlex.join(["Benchmarks/run", *words])}
    try:
        run = {"micro": run_micro, "floors": run_floors, "cluster": run_cluster}.get(options.subject, run_load)
        results, measured = run(options, facts)
    except KeyboardInterrupt:
        say("interrupted; all servers are stopped")
        return 130
    if options.json:
        print(json.dumps({"environment": facts, "results": results}, indent=1))
    if not measured:
        say("nothing was measured")
    return 0 if measured else 1
