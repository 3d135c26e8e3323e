"""Fan-out over several servers that a broker connects; `Benchmarks/run cluster`."""

import contextlib
import json
import os
import re
import shutil
import signal
import tempfile
import threading
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
# One server of three is slow, and the load is light, so that the others have the same CPU time as without that.
SLOW_SERVERS, SLOW_SUBSCRIBERS, SLOW_WINDOW = 3, 20, 4096
SLOW_WORK = ((64, 1000), (16384, 500))  # bytes, messages in a second
SLOW_AFTER = 2.6  # seconds after the load was started: its subscriptions have taken effect
STATES = {"as fast": None, "gateway has 1/20 of the time": ("gateway", 0.0475, 0.0025), "stopped": ("", 3600, 0)}
ROLES = ("gateway", "worker", "reactor", "manager", "master")
# Peers in .build/peers: the path, and of a protocol of its own a message to connect, and what is around a published one.
OTHERS = {"centrifuge": "Centrifuge", "socketio": "Socket.IO (Python)"}
PROTOCOLS = {
    "centrifuge": ("-u", "/broadcast", "--first", '{"id":1}', "--before",
                   '{"id":2,"method":3,"params":{"channel":"all","data":"', "--after", '"}}'),
    "socketio": ("-u", "/socket.io/?EIO=4&transport=websocket", "--first", "40", "--before", '42["m","', "--after", '"]'),
}
OURS = ("-u", "/broadcast")


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
def running_broker(command, cpus):
    with tempfile.TemporaryDirectory(prefix="bench-broker-") as name:
        words = [word.replace("@DIR@", name) for word in command]
        with open(Path(name) / "out", "wb") as out:
            process = processes.spawn(words, cpus, processes.MEASURED, stdout=out, stderr=out, cwd=name)
        try:
            if not processes.wait_until(lambda: _url(Path(name)), START_SECONDS):
                raise Failure(f"{words[0]} does not start")
            yield process, _url(Path(name))
        finally:
            processes.stop(process)


def _command(mode):
    if mode in OTHERS:
        return (PEERS / mode, "--port", "0")
    return (SWIFT_ECHO, "--host", "127.0.0.1", "--port", "0", "--mode", mode, "--workers", "1", "--reactors", "1",
            "--max-message", str(MAX_MESSAGE))


@contextlib.contextmanager
def _servers(count, mode, cpus, options, has_slow):
    command = (*_command(mode), *map(str, options))
    with contextlib.ExitStack() as stack:
        running = []
        for number in range(count):
            # A slow one gets its CPU time after the others: on a machine of its own it would take none of theirs.
            prefix = ("chrt", "--other", "0", "nice", "-n", "10") if has_slow and number == count - 1 else ()
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            out, err = (stack.enter_context(open(folder / name, "wb")) for name in ("out", "err"))
            process = processes.spawn((*prefix, *command), cpus, processes.MEASURED, stdout=out, stderr=err, cwd=folder)
            stack.callback(processes.stop, process)
            running.append(Running(process, folder))
        yield running


def role(pid):
    """What a process of a server does, from its title."""
    with contextlib.suppress(OSError):
        title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return next((name for name in ROLES if f": {name}" in title), "master")
    return "master"


@contextlib.contextmanager
def _slowed(server, state):
    """Stops processes of a server, those of a role or all, again and again: for how long, and how long they run between."""
    if not state:
        yield
        return
    name, stopped, running = state
    end = threading.Event()

    pids = []

    def send(number):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def work():
        end.wait(SLOW_AFTER)
        pids.extend(pid for pid in processes.family(server.process.pid) if not name or role(pid) == name)
        while not end.is_set():
            send(signal.SIGSTOP)
            end.wait(stopped)
            send(signal.SIGCONT)
            end.wait(running)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        send(signal.SIGCONT)


def _measure(setting, connections, in_flight, options):
    """The figures of one window: those of the load, and `roles` with the CPU time of each per delivery."""
    cpus = {options.server_cpu}
    count = setting["servers"]
    with contextlib.ExitStack() as stack:
        arguments, pids, broker = [], [], None
        if setting["broker"]:
            broker, url = stack.enter_context(running_broker(setting["broker"], cpus))
            arguments = ["--cluster", url, "--history", setting["history"]]
            pids.append(broker.pid)
        running = stack.enter_context(_servers(count, setting["mode"], cpus, arguments, "slow" in setting))
        pids += [server.process.pid for server in running]
        measured = running[:-1] if "slow" in setting else running
        # The last connection publishes, so this server does.
        publishing = processes.family(measured[connections % len(measured)].process.pid)
        words = ["--broadcast", "-s", setting["size"], "-P", in_flight, "-c", connections,
                 *PROTOCOLS.get(setting["mode"], OURS)]
        if "slow" in setting:
            words += ["--rate", setting["rate"], "--others", running[-1].port, "-w", 2]
        with _slowed(running[-1], setting.get("slow")):
            figures = load.run(",".join(str(server.port) for server in measured), words, pids, options)
        roles = figures["roles"] = dict.fromkeys(("broker", "gateway", "publishing gateway"), 0.0)
        for pid, ns in figures["processes"].items():
            name = "broker" if broker and int(pid) == broker.pid else role(pid)
            roles[name] = roles.get(name, 0) + ns
            if name == "gateway" and int(pid) in publishing:
                roles["publishing gateway"] += ns
        figures["cpu_ns"] -= roles["broker"]
        return figures


def _setting(name, mode, broker=None, history=0, servers=1, size=64, **more):
    return {"name": name, "mode": mode, "broker": broker, "history": history, "servers": servers, "size": size, **more}


def slow(options):
    """Those of the rows in which one of several servers is slow, and the others are measured."""
    for name, command in brokers().items():
        for size, rate in SLOW_WORK:
            for state, slowed in STATES.items():
                yield _setting(f"{name}, {size:,} B, {rate:,} /s, {state}", options.mode or "process", command,
                               servers=SLOW_SERVERS, size=size, rate=rate, slow=slowed)


def fan_out(options):
    """The settings of the rows with several servers, each mode alone first."""
    ours = (options.mode,) if options.mode else MODES
    servers = [(f"Swift {mode}", mode) for mode in ours]
    servers += [(title, name) for name, title in OTHERS.items() if (PEERS / name).exists()]
    for server, mode in servers:
        yield _setting(f"{server}, one server", mode)
        for name, command in brokers().items():
            if mode in OTHERS and name == "NATS":
                continue  # their programs are over Redis only
            for history in (0,) if mode == "socketio" else (0, HISTORY):
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
    gateway = row["broker"] and row["mode"] not in OTHERS  # which have none
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


def _one_cells(row, rounds, alone):
    """Of one subscriber: its latency, and what the broker adds to it."""
    p50, p99 = _median(rounds, "p50"), _median(rounds, "p99")
    if not row["broker"]:
        alone[row["mode"]] = p50, p99
    own = alone.get(row["mode"]) if row["broker"] else None
    return [f"{p50:,.0f}", f"{p99:,.0f}"] + ([f"{p50 - own[0]:,.0f}", f"{p99 - own[1]:,.0f}"] if own else ["", ""])


def _slow_cells(row, rounds, _):
    third = _median(rounds, "others") / (row["size"] + (2 if row["size"] < 126 else 4))
    return [f"{_median(rounds, key):,.0f}" for key in ("p50", "p99", "rate")] + [f"{third:,.0f}"]


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
    """(key, title, settings, connections for a number of servers, in flight, columns, cells)"""
    columns = ["p50 µs", "p99 µs", "added, p50", "added, p99"]
    yield ("one", "64 B to one subscriber, of another server, 1 in flight", fan_out(options), lambda servers: 1, 1, columns,
           _one_cells)
    columns = ["CPU ns per delivery", "× one server", "gateways", "broker", "p50 µs", "p99 µs", "rate /s"]
    for number in IN_FLIGHT:
        yield (f"x{number}", f"64 B to {SUBSCRIBERS} subscribers of each server, {number} in flight", fan_out(options),
               lambda servers: servers * SUBSCRIBERS, number, columns, _fan_out_cells)
    columns = ["broker, ns per message", "publishing gateway", "each other gateway", "rate /s"]
    yield ("costs", f"64 B to one subscriber of each server, {COST_IN_FLIGHT} in flight", costs(options), lambda servers: servers,
           COST_IN_FLIGHT, columns, _cost_cells)
    columns = ["p50 µs", "p99 µs", "rate /s", "of the third one"]
    yield ("slow", f"{SLOW_SUBSCRIBERS} subscribers of each of two servers, while a third one is slow", slow(options),
           lambda servers: (servers - 1) * SLOW_SUBSCRIBERS, SLOW_WINDOW, columns, _slow_cells)


def run(options, say):
    """[{scenario, title, rows}]"""
    results = []
    if not brokers():
        say("skipped the rows of clusters: there is no broker (apt install redis-server nats-server)")
    for key, title, settings, connections, in_flight, columns, cells in _scenarios(options):
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
                    row[1].append(_measure(row[0], connections(row[0]["servers"]), in_flight, options))
                except Failure as failure:
                    row[2] = str(failure)
                    say(f"  {row[0]['name']}: {failure}")
        if not options.json:
            print(_table(title, columns, cells, rows), flush=True)
        results.append({"scenario": key, "title": title, "rows": [
            {"server": row["name"], "failure": failure, "rounds": rounds} for row, rounds, failure in rows]})
    return results
