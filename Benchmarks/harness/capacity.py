"""How much of everything a number of connections takes: arithmetic with the measured costs of Benchmarks/costs."""

from dataclasses import dataclass
from math import ceil

from .paths import BENCHMARKS

# A part that has more to do than this gets queues.
FULL = 0.7
# All subscriptions of a shard are made again after it was lost, within this time.
RESUBSCRIBE_SECONDS = 10
# Of Sources/CReactor/broker: how long a message with history cannot be published twice, in how many parts a shard is
# searched for members that have expired, and how often that and their renewal happen by default.
ID_SECONDS, PARTITIONS, SWEEP_SECONDS, RENEW_SECONDS = 300, 128, 15, 25
# The messages that a topic with history keeps.
KEPT = 100


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
    members: bool = False  # connections are members of their topics


# A message to one user each two minutes; people in rooms; one channel for all, with ten messages in a second.
NOTIFICATIONS = Work("notifications", 1 / 120, 1)
ROOMS = Work("rooms", 1 / 60, 30)
ROOMS_HISTORY = Work("rooms, history", 1 / 60, 30, True)
ROOMS_MEMBERS = Work("rooms, members", 1 / 60, 30, members=True)
EVENT = Work("one event", 0, 0)
EVENT_RATE = 10
WORKS = (NOTIFICATIONS, ROOMS, ROOMS_HISTORY, ROOMS_MEMBERS, EVENT)


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


def topics(work, fleet):
    return 1 if work is EVENT else fleet.connections / work.subscribers


def subscriptions(work, fleet):
    """Those of all machines in Redis: a topic with subscribers on a machine is one."""
    return topics(work, fleet) * reached(work, fleet)


def subscription_ns(work, cost):
    return cost["subscribe-ns"] + (cost["check-ns"] if work.history else 0)


def message_ns(work, cost):
    """In the gateway that publishes it, and in each that receives it."""
    kind = "-history-ns" if work.history else "-ns"
    return cost["publish" + kind], cost["arrive" + kind]


def broker_ns(work, machines, cost):
    return cost["broker-history-ns" if work.history else "broker-ns"] + machines * cost["broker-server-ns"]


def renewals(work, fleet):
    """Of members, in a second."""
    return fleet.connections / RENEW_SECONDS if work.members else 0


def sweeps(work, fleet):
    """Searches of each shard for members that have expired, in a second."""
    return fleet.machines * PARTITIONS / SWEEP_SECONDS if work.members else 0


def loads(work, fleet, cost):
    """{part: share of its time that it works}; above 1 it cannot keep up."""
    messages, machines = rate(work, fleet), reached(work, fleet)
    deliveries = messages * subscribers(work, fleet)
    alone = fleet.machines == 1
    reactors = deliveries * cost["deliver-ns"] + messages * cost["receive-ns"]
    publish, arrive = message_ns(work, cost)
    gateway = messages * publish + messages * machines * arrive
    # The messages of one topic are in one shard.
    shards = 1 if work is EVENT else max(1, fleet.shards)
    shard = (messages * broker_ns(work, machines, cost) + renewals(work, fleet) * cost["member-ns"]) / shards
    return {
        "cores": reactors / 1e9 / fleet.machines / fleet.cores,
        "gateway": 0 if alone else gateway / 1e9 / fleet.machines,
        "shard": 0 if alone else (shard + sweeps(work, fleet) * cost["sweep-ns"]) / 1e9,
    }


def resubscribing(work, fleet, cost):
    """The share of RESUBSCRIBE_SECONDS in which the subscriptions of a shard are made again."""
    seconds = subscriptions(work, fleet) * subscription_ns(work, cost) / 1e9
    return seconds / max(1, fleet.shards) / RESUBSCRIBE_SECONDS


def limits(work, fleet, per_machine, cost):
    """{part: how many times as much of this work it can do}, the part that reaches its limit first at the beginning."""
    load = loads(work, fleet, cost)
    shares = {
        "connections": fleet.connections / fleet.machines / per_machine,
        "CPU time": load["cores"] / FULL, "gateways": load["gateway"] / FULL, "shards": load["shard"] / FULL,
        "subscriptions": resubscribing(work, fleet, cost) if fleet.shards else 0,
    }
    return {name: 1 / share for name, share in sorted(shares.items(), key=lambda entry: -entry[1]) if share}


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
    swept = sweeps(work, fleet) * cost["sweep-ns"] / 1e9
    renewed = renewals(work, fleet) * cost["member-ns"] / 1e9
    messages = load["shard"] - swept - renewed
    wanted = {"members" if renewed > messages else "messages": (messages + renewed) / (FULL - swept),
              "subscriptions": resubscribing(work, fleet, cost)}
    shards_by = max(wanted, key=wanted.get)
    shards = 0 if machines == 1 else max(1, ceil(wanted[shards_by]))
    return Fleet(connections, machines, cores, shards), first, shards_by if shards > 1 else ""


def shard_bytes(work, fleet, cost):
    """Memory of a shard: what is subscribed, kept and who is there."""
    everything = subscriptions(work, fleet) * cost["subscribe-bytes"]
    if work.history:
        everything += topics(work, fleet) * (cost["history-topic-bytes"] + KEPT * cost["history-message-bytes"])
        everything += rate(work, fleet) * ID_SECONDS * cost["id-bytes"]
    if work.members:
        everything += fleet.connections * cost["member-bytes"]
    return everything / max(1, fleet.shards)


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
