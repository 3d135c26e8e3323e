"""How much of everything a number of connections takes: arithmetic with the measured costs of Benchmarks/costs."""

from dataclasses import dataclass
from math import ceil

from .paths import BENCHMARKS

# A part that has more to do than this gets queues.
FULL = 0.7
# All subscriptions of a shard are made again after it was lost, within this time.
RESUBSCRIBE_SECONDS = 10


def costs():
    """{name: value} of Benchmarks/costs."""
    found = {}
    for line in (BENCHMARKS / "costs").read_text().splitlines():
        words = line.split(None, 2)
        if len(words) == 3 and not line.startswith("#"):
            found[words[0]] = float(words[1])
    return found


@dataclass(frozen=True)
class Work:
    """What connections do."""

    name: str
    publishes: float  # messages that each connection publishes in a second
    subscribers: float  # of a topic; 0: all connections
    history: bool = False


# A message to one user each two minutes; people in rooms; one channel for all, with ten messages in a second.
NOTIFICATIONS = Work("notifications", 1 / 120, 1)
ROOMS = Work("rooms", 1 / 60, 30)
ROOMS_HISTORY = Work("rooms, history", 1 / 60, 30, True)
EVENT = Work("one event", 0, 0)
EVENT_RATE = 10
WORKS = (NOTIFICATIONS, ROOMS, ROOMS_HISTORY, EVENT)


@dataclass(frozen=True)
class Fleet:
    connections: int
    machines: int
    cores: int  # of each machine that work on connections
    shards: int


def rate(work, fleet):
    """Messages that are published in a second."""
    return EVENT_RATE if work is EVENT else work.publishes * fleet.connections


def subscribers(work, fleet):
    return work.subscribers or fleet.connections


def reached(work, fleet):
    """The mean number of machines that have subscribers of a topic, if these are where chance puts them."""
    alone = 1 - 1 / fleet.machines
    return fleet.machines * (1 - alone ** subscribers(work, fleet))


def subscriptions(work, fleet):
    """Those of all machines in Redis: a topic with subscribers on a machine is one."""
    topics = 1 if work is EVENT else fleet.connections / work.subscribers
    return topics * reached(work, fleet)


def broker_ns(work, machines, cost):
    return cost["broker-history-ns" if work.history else "broker-ns"] + machines * cost["broker-server-ns"]


def loads(work, fleet, cost):
    """{part: share of its time that it works}; above 1 it cannot keep up."""
    messages, machines = rate(work, fleet), reached(work, fleet)
    deliveries = messages * subscribers(work, fleet)
    alone = fleet.machines == 1
    reactors = deliveries * cost["deliver-ns"] + messages * cost["receive-ns"]
    gateway = messages * cost["publish-ns"] + messages * machines * cost["arrive-ns"]
    # The messages of one topic are in one shard.
    shards = 1 if work is EVENT else fleet.shards
    return {
        "cores": reactors / 1e9 / fleet.machines / fleet.cores,
        "gateway": 0 if alone else gateway / 1e9 / fleet.machines,
        "shard": 0 if alone else messages * broker_ns(work, machines, cost) / 1e9 / shards,
    }


def fleet_for(work, connections, per_machine, cores, cost):
    """The smallest fleet whose parts work at most FULL of their time, and what decides its machines and shards."""
    machines = ceil(connections / per_machine)
    first = "connections"
    while True:
        fleet = Fleet(connections, machines, cores, 1)
        load = loads(work, fleet, cost)
        part = max(("cores", "gateway"), key=load.get)
        if load[part] <= FULL:
            break
        first = part
        machines = max(machines + 1, ceil(machines * load[part] / FULL * 0.98))
    wanted = {"messages": load["shard"] / FULL,
              "subscriptions": subscriptions(work, fleet) * cost["subscribe-ns"] / 1e9 / RESUBSCRIBE_SECONDS}
    shards_by = max(wanted, key=wanted.get)
    shards = 0 if machines == 1 else max(1, ceil(wanted[shards_by]))
    return Fleet(connections, machines, cores, shards), first, shards_by if shards > 1 else ""


def memory(connections, cost):
    """Bytes of the server and of the kernel for idle connections."""
    return connections * cost["idle-bytes"], connections * cost["kernel-bytes"]


def storm_seconds(fleet, cost, tls):
    """How long the others are busy with the clients of a machine that died, with all of their cores."""
    if fleet.machines == 1:
        return None
    lost = fleet.connections / fleet.machines
    each = cost["tls-handshake-ns" if tls else "handshake-ns"]
    return lost * each / 1e9 / (fleet.machines - 1) / fleet.cores
