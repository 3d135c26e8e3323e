"""A fleet in virtual time, message by message: checks what the arithmetic of capacity.py says, and finds latencies."""

import heapq
import random

from . import capacity


class Queue:
    """Does one thing after the other, with as many hands as it has."""

    def __init__(self, hands=1):
        self.free = [0.0] * hands
        self.busy = 0.0

    def take(self, at, ns):
        """The time at which a thing is done that arrives at `at`; things arrive in order."""
        begin = max(at, heapq.heappop(self.free))
        self.busy += ns
        heapq.heappush(self.free, begin + ns)
        return begin + ns


def _machines(work, fleet, chance):
    """{machine: subscribers} of one topic."""
    if not work.subscribers:
        return dict.fromkeys(range(fleet.machines), fleet.connections / fleet.machines)
    found = {}
    for _ in range(int(work.subscribers)):
        machine = chance.randrange(fleet.machines)
        found[machine] = found.get(machine, 0) + 1
    return found


def simulate(work, fleet, cost, messages=5000, seed=1):
    """(loads of the busiest part of each kind and their means, latencies in ms) of a number of published messages."""
    chance = random.Random(seed)
    shards = [Queue() for _ in range(fleet.shards)]
    gateways = [Queue() for _ in range(fleet.machines)]
    cores = [Queue(fleet.cores) for _ in range(fleet.machines)]
    rate = capacity.rate(work, fleet)
    events, order, at, latencies = [], 0, 0.0, []
    for _ in range(messages):
        # An event has one source, which keeps time.
        at += (1 / rate if work is capacity.EVENT else chance.expovariate(rate)) * 1e9
        heapq.heappush(events, (at, order, "receive", chance.randrange(fleet.machines), at, None))
        order += 1
    end = at
    for step, count in ("renew", capacity.renewals(work, fleet)), ("sweep", capacity.sweeps(work, fleet) * fleet.shards):
        at = 0.0
        while fleet.shards and count and (at := at + chance.expovariate(count) * 1e9) < end:
            heapq.heappush(events, (at, order, step, chance.randrange(fleet.shards), at, None))
            order += 1
    shard = chance.randrange(max(1, fleet.shards))  # of an event
    alone = fleet.machines == 1
    publish, arrive = capacity.message_ns(work, cost)
    members = {"renew": cost["member-ns"], "sweep": cost["sweep-ns"]}
    while events:
        now, _, step, where, begin, more = heapq.heappop(events)
        nexts = []
        if step == "receive":
            done = cores[where].take(now, cost["receive-ns"])
            nexts.append((done, "deliver", 0, _machines(work, fleet, chance)[0]) if alone else
                         (done, "publish", where, None))
        elif step == "publish":
            to = shard if work is capacity.EVENT else chance.randrange(fleet.shards)
            nexts.append((gateways[where].take(now, publish), "broker", to, None))
        elif step == "broker":
            machines = _machines(work, fleet, chance)
            done = shards[where].take(now, capacity.broker_ns(work, len(machines), cost))
            nexts += [(done, "arrive", machine, count) for machine, count in machines.items()]
        elif step == "arrive":
            nexts.append((gateways[where].take(now, arrive), "deliver", where, more))
        elif step in members:
            shards[where].take(now, members[step])
        else:
            # The connections of a machine are spread over its cores, which send at the same time.
            share = more * cost["deliver-ns"]
            hands = min(fleet.cores, max(1, int(more)))
            latencies.append((max(cores[where].take(now, share / hands) for _ in range(hands)) - begin) / 1e6)
        for done, following, place, value in nexts:
            heapq.heappush(events, (done, order, following, place, begin, value))
            order += 1
    latencies.sort()
    means = {
        "cores": sum(queue.busy for queue in cores) / end / fleet.machines / fleet.cores,
        "gateway": sum(queue.busy for queue in gateways) / end / fleet.machines,
        "shard": sum(queue.busy for queue in shards) / end / (1 if work is capacity.EVENT else max(1, fleet.shards)),
    }
    return means, latencies
