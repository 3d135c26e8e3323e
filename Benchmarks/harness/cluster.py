"""Fan-out over several servers that a broker connects; `Benchmarks/run cluster`."""

import contextlib
import json
import re
import shutil
import tempfile
from pathlib import Path
from statistics import median

from . import load, processes
from .paths import PEERS
from .servers import MAX_MESSAGE, PROGRAM_PATH, START_SECONDS, SWIFT_ECHO, Failure, Running

SUBSCRIBERS = 200  # of each server
SERVERS = 2
HISTORY = 100
IN_FLIGHT = (1, 16)
MODES = ("base", "process")
# What a message costs the parts of a cluster, over the number of servers.
COST_SERVERS, COST_IN_FLIGHT = (1, 2, 4), 256
ROLES = ("gateway", "worker", "reactor", "manager", "master")
CENTRIFUGE = PEERS / "centrifuge"
# Its protocol: a command to connect, and what is around a message that a client publishes.
CENTRIFUGE_WORDS = ("--first", '{"id":1}', "--before", '{"id":2,"method":3,"params":{"channel":"all","data":"',
                    "--after", '"}}')


def brokers():
    """{name: command in a folder}, of those that are installed."""
    options = ("--port", "0", "--unixsocket", "@DIR@/broker", "--save", "", "--appendonly", "no")
    found = {}
    for name, program in ("Redis", "redis-server"), ("Valkey", "valkey-server"):
        if path := shutil.which(program, path=f"{PEERS}:{PROGRAM_PATH}"):
            found[name] = (path, *options)
    if path := shutil.which("nats-server", path=f"{PEERS}:{PROGRAM_PATH}"):
        found["NATS"] = (path, "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", "@DIR@", "-js", "-sd", "@DIR@/store")
    return found


def _url(folder):
    """The URL of the broker that has been started in a folder; None: not yet."""
    if (folder / "broker").exists():
        return f"unix:{folder}/broker"
    for ports in folder.glob("*.ports"):
        with contextlib.suppress(ValueError):  # it is being written
            return json.loads(ports.read_text())["nats"][-1]
    return None


@contextlib.contextmanager
def _broker(command, cpus):
    with tempfile.TemporaryDirectory(prefix="bench-broker-") as name:
        words = [word.replace("@DIR@", name) for word in command]
        with open(Path(name) / "out", "wb") as out:
            process = processes.spawn(words, cpus, stdout=out, stderr=out, cwd=name)
        try:
            if not processes.wait_until(lambda: _url(Path(name)), START_SECONDS):
                raise Failure(f"{words[0]} does not start")
            yield process, _url(Path(name))
        finally:
            processes.stop(process)


def _command(mode):
    if mode == "centrifuge":
        return (CENTRIFUGE, "--port", "0")
    return (SWIFT_ECHO, "--host", "127.0.0.1", "--port", "0", "--mode", mode, "--workers", "1", "--reactors", "1",
            "--max-message", str(MAX_MESSAGE))


@contextlib.contextmanager
def _servers(count, mode, cpus, options):
    command = (*_command(mode), *map(str, options))
    with contextlib.ExitStack() as stack:
        running = []
        for _ in range(count):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            out, err = (stack.enter_context(open(folder / name, "wb")) for name in ("out", "err"))
            process = processes.spawn(command, cpus, stdout=out, stderr=err, cwd=folder)
            stack.callback(processes.stop, process)
            running.append(Running(process, folder))
        yield running


def role(pid):
    """What a process of a server does, from its title."""
    with contextlib.suppress(OSError):
        title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return next((name for name in ROLES if f": {name}" in title), "master")
    return "master"


def _measure(setting, subscribers, in_flight, options):
    """The figures of one window: those of the load, and `roles` with the CPU time of each per delivery."""
    cpus = {options.server_cpu}
    count = setting["servers"]
    with contextlib.ExitStack() as stack:
        arguments, pids, broker = [], [], None
        if setting["broker"]:
            broker, url = stack.enter_context(_broker(setting["broker"], cpus))
            arguments = ["--cluster", url, "--history", setting["history"]]
            pids.append(broker.pid)
        running = stack.enter_context(_servers(count, setting["mode"], cpus, arguments))
        pids += [server.process.pid for server in running]
        # The last connection publishes, so this server does.
        publishing = processes.family(running[(count * subscribers) % count].process.pid)
        words = ["--broadcast", "-u", "/broadcast", "-s", 64, "-P", in_flight, "-c", count * subscribers]
        if setting["mode"] == "centrifuge":
            words += CENTRIFUGE_WORDS
        figures = load.run(",".join(str(server.port) for server in running), words, pids, options)
        roles = figures["roles"] = dict.fromkeys(("broker", "gateway", "publishing gateway"), 0.0)
        for pid, ns in figures["processes"].items():
            name = "broker" if broker and int(pid) == broker.pid else role(pid)
            roles[name] = roles.get(name, 0) + ns
            if name == "gateway" and int(pid) in publishing:
                roles["publishing gateway"] += ns
        figures["cpu_ns"] -= roles["broker"]
        return figures


def _setting(name, mode, broker=None, history=0, servers=1):
    return {"name": name, "mode": mode, "broker": broker, "history": history, "servers": servers}


def fan_out(options):
    """The settings of the rows with many subscribers, each mode alone first."""
    ours = (options.mode,) if options.mode else MODES
    servers = [(f"Swift {mode}", mode) for mode in ours]
    if CENTRIFUGE.exists():
        servers.append(("Centrifuge", "centrifuge"))
    for server, mode in servers:
        yield _setting(f"{server}, one server", mode)
        for name, command in brokers().items():
            if (mode, name) == ("centrifuge", "NATS"):
                continue  # its program is over Redis only
            for history in 0, HISTORY:
                kept = ", history" if history else ""
                yield _setting(f"{server}, {SERVERS} over {name}{kept}", mode, command, history, SERVERS)


def costs(options):
    """Those of the rows that show what a message costs the parts of a cluster."""
    for name, command in brokers().items():
        for history in 0, HISTORY:
            for servers in COST_SERVERS:
                kept = ", history" if history else ""
                yield _setting(f"{servers} over {name}{kept}", options.mode or "base", command, history, servers)


def _median(rounds, key):
    return median(one[key] for one in rounds)


def _share(rounds, name):
    return median(one["roles"].get(name, 0) for one in rounds)


def _fan_out_cells(row, rounds, alone):
    cpu = _median(rounds, "cpu_ns")
    if not row["broker"]:
        alone[row["mode"]] = cpu
    cells = [f"{cpu:,.0f}", f"{cpu / alone[row['mode']]:.2f}" if row["mode"] in alone else ""]
    gateway = row["broker"] and row["mode"] != "centrifuge"  # which has none
    cells.append(f"{_share(rounds, 'gateway'):,.0f}" if gateway else "")
    cells.append(f"{_share(rounds, 'broker'):,.0f}" if row["broker"] else "")
    return cells + [f"{_median(rounds, key):,.0f}" for key in ("p50", "p99", "rate")]


def _cost_cells(row, rounds, _):
    servers = row["servers"]
    publishing = _share(rounds, "publishing gateway") * servers
    others = _share(rounds, "gateway") * servers - publishing
    cells = [f"{_share(rounds, 'broker') * servers:,.0f}", f"{publishing:,.0f}"]
    cells.append(f"{others / (servers - 1):,.0f}" if servers > 1 else "")
    return cells + [f"{_median(rounds, 'rate') / servers:,.0f}"]


def _table(title, head, cells, rows):
    lines = [f"## {title}", "", "| server | " + " | ".join(head) + " |", "|---" + "|---:" * len(head) + "|"]
    alone = {}
    for row, rounds, failure in rows:
        if failure or not rounds:
            lines.append(f"| {row['name']} | failed: {failure} |" + " |" * (len(head) - 1))
        else:
            lines.append(f"| {row['name']} | " + " | ".join(cells(row, rounds, alone)) + " |")
    return "\n".join(lines) + "\n"


def _scenarios(options):
    """(key, title, settings, subscribers, in flight, columns, cells)"""
    columns = ["CPU ns per delivery", "× one server", "gateways", "broker", "p50 µs", "p99 µs", "rate /s"]
    for number in IN_FLIGHT:
        yield (f"x{number}", f"64 B to {SUBSCRIBERS} subscribers of each server, {number} in flight", fan_out(options),
               SUBSCRIBERS, number, columns, _fan_out_cells)
    columns = ["broker, ns per message", "publishing gateway", "each other gateway", "rate /s"]
    yield ("costs", f"64 B to one subscriber of each server, {COST_IN_FLIGHT} in flight", costs(options), 1,
           COST_IN_FLIGHT, columns, _cost_cells)


def run(options, say):
    """[{scenario, title, rows}]"""
    results = []
    if not brokers():
        say("skipped the rows of clusters: there is no broker (apt install redis-server nats-server)")
    for key, title, settings, subscribers, in_flight, columns, cells in _scenarios(options):
        rows = [[setting, [], None] for setting in settings
                if not setting["broker"] or re.search(options.only, f"{key} {setting['name']}")]
        if not any(row[0]["broker"] for row in rows):
            continue
        for number in range(options.rounds):
            say(f"{title}: round {number + 1} of {options.rounds}")
            for row in rows:
                if row[2]:
                    continue
                try:
                    row[1].append(_measure(row[0], subscribers, in_flight, options))
                except Failure as failure:
                    row[2] = str(failure)
                    say(f"  {row[0]['name']}: {failure}")
        if not options.json:
            print(_table(title, columns, cells, rows), flush=True)
        results.append({"scenario": key, "title": title, "rows": [
            {"server": row["name"], "failure": failure, "rounds": rounds} for row, rounds, failure in rows]})
    return results
