"""Numbered messages to topics with a history, and the checks that each of them has arrived everywhere, once and in order."""

import json
import selectors
import signal
import time

from clients import WebSocket
from fixture import PATIENCE

WINDOW, MOST_AT_ONCE, TICK = 64, 32, 0.02
LATEST = 0.2  # seconds for which messages are published that should have been before
TOPICS = [f"kept:{number}" for number in range(6)]
RETURNED, KEPT = "enveloped:back", 1000  # the topic of those who leave and come back, and its history
STAYS, AWAY, OLD_CHANCE, ANSWER_TIMEOUT = (0.2, 1.5), (0.0, 0.5), 0.3, 8


class Subscriber(WebSocket):
    """Gets the messages of all topics."""

    def began(self):
        super().began()
        self.subscribed = 0
        self.last = {}  # (topic, publisher): the last number
        self.missing = set()  # (topic, publisher, number) before the last one
        self.orders = {topic: 0 for topic in TOPICS}  # hashes
        self.received = 0

    def answer(self, text):
        if text[0] == "{":
            message = json.loads(text)
            if "fd" in message:
                for topic in TOPICS:
                    self.frame({"subscribe": {"_0": topic}})
            elif message["answer"] in ("sent", "queued"):
                self.subscribed += 1
            else:
                self.report(f"subscribe: {message}")
            return
        topic, publisher, number = text.split()
        number = int(number)
        last = self.last.get((topic, publisher), 0)
        if number <= last:
            self.report(f"{text} arrived behind {last}")
            return
        self.missing.update((topic, publisher, skipped) for skipped in range(last + 1, number))
        self.last[topic, publisher] = number
        self.orders[topic] = hash((self.orders[topic], publisher, number))
        self.received += 1


class Returner(WebSocket):
    """Leaves again and again, and comes back to another server with the position of its last message, or with one that is
    too old: docs/topics-protocol.md."""

    path, protocol = b"/topics", b"swiftserver.topics"

    def __init__(self, ports, report, chance):
        self.ports, self.chance = ports, chance
        self.last, self.missing = {}, set()  # as those of a Subscriber
        self.offset, self.epoch = 0, None  # of the last message
        self.returns = self.losses = self.unanswered_returns = 0
        super().__init__(ports[0], report)

    def open(self):
        self.port = self.chance.choice(self.ports)
        super().open()

    def began(self):
        super().began()
        self.is_away = self.is_asked = self.is_subscribed = False
        self.early = []  # messages before the answer
        self.opened = time.monotonic()
        self.stays = self.chance.uniform(*STAYS)

    def take(self):
        alive = super().take()
        if alive and self.is_upgraded and not self.is_asked:
            self.is_asked, self.opened = True, time.monotonic()
            self.since = self.offset
            if self.offset > 2 * KEPT and self.chance.random() < OLD_CHANCE:
                self.since -= 2 * KEPT
            position = {"position": f"{self.since}:{self.epoch}"} if self.epoch else {}
            self.frame({"type": "subscribe", "id": 1, "topic": RETURNED} | position)
        return alive

    def leaves(self):
        """The server answers, or closes the connection, unless the worker dies that had the subscription in hand."""
        now = time.monotonic()
        if self.is_asked and not self.is_subscribed and now > self.opened + ANSWER_TIMEOUT:
            self.unanswered_returns += 1
            return True
        return self.is_subscribed and now > self.opened + self.stays

    def answer(self, text):
        head, _, data = text.partition("\n")
        head = json.loads(head)
        if data:
            self.early.append((head["position"], data))
        elif head["type"] == "subscribed":
            self.subscribed(head["recovery"], head["position"])
        else:
            self.report(f"a subscription was answered by {head}")
        if self.is_subscribed:
            for position, data in self.early:
                self.message(position, data)
            self.early.clear()

    def subscribed(self, recovery, position):
        self.is_subscribed = True
        if self.epoch:
            self.returns += 1
            missed = self.numbers(position)[0] - self.since  # some may have been published since it was asked for
            if recovery == "none" or recovery == "lost" and missed < KEPT * 0.8:
                self.report(f"a return to {self.since}:{self.epoch} was answered by {recovery} at {position}")
        if recovery != "complete":
            offset, self.epoch = position.split(":")
            self.offset = max(self.offset, int(offset))
        if recovery == "lost":
            self.losses += 1
            if any(self.numbers(position)[0] <= self.offset for position, _ in self.early):
                self.report("some of the lost messages were sent")
            self.last.clear()

    @staticmethod
    def numbers(position):
        offset, epoch = position.split(":")
        return int(offset), epoch

    def message(self, position, data):
        offset, epoch = self.numbers(position)
        if epoch != self.epoch:
            self.report(f"a message of another history, {position} behind {self.offset}:{self.epoch}")
        if offset <= self.offset:
            return  # it has that
        self.offset = offset
        topic, publisher, number = data.split()
        number = int(number)
        last = self.last.get((topic, publisher))
        if last is not None:
            if number <= last:
                self.report(f"{data} arrived behind {last}")
            self.missing.update((topic, publisher, skipped) for skipped in range(last + 1, number))
        self.last[topic, publisher] = number


class Publisher(WebSocket):
    """Publishes to one topic."""

    def __init__(self, port, report, name, topic):
        self.name, self.topic = name, topic
        self.refused, self.unknown = set(), set()
        self.lost_answers = 0
        super().__init__(port, report)

    def publish(self, count=1):
        """As many messages, in one request, as far as the window has room."""
        if self.is_open and len(self.unanswered) < WINDOW:
            numbers = range(self.number + 1, self.number + count + 1)
            self.number += count
            self.unanswered.append(numbers)
            self.frame({"publishNumbers": {"from": numbers[0], "to": numbers[-1], "as": self.name, "topic": self.topic}})

    def abandon(self):
        """The first request will not be answered."""
        self.unknown.update(self.unanswered.popleft())
        self.lost_answers += 1

    def answer(self, text):
        message = json.loads(text)
        if "fd" in message:
            self.is_open = True
            return
        rows = message["answer"].split()
        first, last = int(rows[0]), int(rows[-2])
        if all((numbers[0], numbers[-1]) != (first, last) for numbers in self.unanswered):
            self.report(f"publications {first} to {last} of {self.name} were answered twice or out of order")
            return
        while self.unanswered[0][0] != first:
            self.abandon()
        self.answered += len(self.unanswered.popleft())
        for first, last, result in zip(rows[::3], rows[1::3], rows[2::3]):
            if result != "queued":
                self.refused.update(range(int(first), int(last) + 1))
                if result != "unavailable":
                    self.report(f"publication {first} of {self.name}: {result}")


class Exchange:
    """Two subscribers of each server, and on each server a publisher for each topic; and `returners` who come back to one of
    them, with publishers of their topic. `connect(number, make)` calls `make` where server `number` can be reached."""

    def __init__(self, servers, workers, chance, rate, connect=lambda number, make: make(), returners=0):
        self.servers, self.workers, self.chance, self.rate = servers, workers, chance, rate
        self.problems = []
        report = self.problems.append
        self.subscribers, self.publishers = [], []
        for number, server in enumerate(servers):
            self.subscribers += [connect(number, lambda: Subscriber(server.port, report)) for _ in range(2)]
            self.publishers += [connect(number, lambda: Publisher(server.port, report, f"{number}.{index}", topic))
                                for index, topic in enumerate(TOPICS)]
        self.returners = [Returner([server.port for server in servers], report, chance) for _ in range(returners)]
        self.returned = [Publisher(server.port, report, f"{number}.returned", RETURNED)
                         for number, server in enumerate(servers) if returners]
        self.may_leave = False
        self.selector = selectors.DefaultSelector()
        for client in self.clients():
            self.selector.register(client, selectors.EVENT_READ, client)
        self.published, self.loaded = 0.0, time.monotonic()  # messages that are due, at what time
        self.worker_deaths = 0
        self.later = []  # (time, what to do then)

    def clients(self):
        return self.subscribers + self.publishers + self.returners + self.returned

    # The load

    def after(self, seconds, action):
        self.later.append((time.monotonic() + seconds, action))

    def due(self, everything=False):
        now = time.monotonic()
        due = [entry for entry in self.later if everything or entry[0] <= now]
        self.later = [entry for entry in self.later if entry not in due]
        for _, action in due:
            action()

    def serve(self, seconds, until=lambda: False, tick=lambda: None):
        """Reads for `seconds`, or until `until()` is true, which is returned."""
        deadline, next_tick = time.monotonic() + seconds, 0
        while not until():
            now = time.monotonic()
            if now >= deadline:
                return False
            if now >= next_tick:
                next_tick = now + TICK
                self.due()
                tick()
            for key, _ in self.selector.select(TICK / 4):
                if not key.data.ready():
                    self.ended(key.data)
            for client in self.returners:
                if (self.may_leave or not client.is_subscribed) and not client.is_away and client.leaves():
                    self.ended(client)
        return True

    def ended(self, client):
        self.selector.unregister(client)
        if client in self.returners:
            client.close()
            client.is_away, client.is_subscribed = True, False
            self.after(self.chance.uniform(*AWAY), lambda: self.come_back(client))
        else:
            self.problems.append(f"a connection of port {client.port} ended, code {client.close_code}")

    def come_back(self, client):
        try:
            client.open()
        except OSError:
            self.after(AWAY[1], lambda: self.come_back(client))
            return
        self.selector.register(client, selectors.EVENT_READ, client)

    def load(self):
        now = time.monotonic()
        self.published += self.rate * min(now - self.loaded, LATEST)
        self.loaded = now
        while self.published >= 1:
            count = min(int(self.published), self.chance.randint(1, MOST_AT_ONCE))
            self.published -= count
            self.chance.choice(self.publishers + self.returned).publish(count)

    def begin(self):
        """All subscriptions, also those of other servers, have taken effect."""
        self.expect(self.serve(PATIENCE, self.is_ready), "not all clients were served")
        self.expect(self.serve(PATIENCE, self.knows_all, self.probe), "not all messages arrive everywhere")
        self.settle()
        for client in self.subscribers:
            client.missing.clear()  # of the time before all had subscribed
            client.orders = dict.fromkeys(TOPICS, 0)

    def is_ready(self):
        return all(client.is_open for client in self.publishers + self.returned) and all(
            client.subscribed == len(TOPICS) for client in self.subscribers) and all(
            client.is_subscribed for client in self.returners)

    def probe(self):
        """Subscriptions of other processes take effect when messages arrive everywhere."""
        for publisher in self.publishers:
            if not publisher.unanswered:
                publisher.publish()

    def knows_all(self):
        return all(len(client.last) == len(self.publishers) for client in self.subscribers)

    def arrive(self, publishers, subscribers):
        """One more message of each of them is accepted, and that and all before it has arrived. Returns whether it has."""
        # Its answer shows that no earlier one follows; it may itself be refused for a while.
        begun = {publisher: publisher.answered for publisher in publishers}
        final = {}

        def is_answered():
            for publisher in publishers:
                if not publisher.unanswered and publisher.answered > begun[publisher] and (
                        publisher.number not in publisher.refused and publisher.number not in publisher.unknown):
                    final.setdefault(publisher, publisher.number)
            return len(final) == len(publishers)

        def tick():
            for publisher in publishers:
                if publisher not in final and len(publisher.unanswered) < 2 * WINDOW and self.chance.random() < 0.1:
                    self.number_again(publisher)

        return self.serve(4 * PATIENCE, is_answered, tick) and self.serve(4 * PATIENCE, lambda: all(
            client.last.get((publisher.topic, publisher.name)) == publisher.number
            for client in subscribers for publisher in publishers))

    @staticmethod
    def number_again(publisher):
        while len(publisher.unanswered) >= WINDOW:  # perhaps all of them are lost
            publisher.abandon()
        publisher.publish()

    def settle(self):
        """All processes are there, and everything that was published is answered and has arrived."""
        self.due(everything=True)
        self.expect(self.serve(PATIENCE, lambda: all(server.pids("gateway") and len(server.pids("worker")) == self.workers
                                                     for server in self.servers)), "not all processes came back")
        self.expect(self.arrive(self.publishers, self.subscribers),
                    "publications were not answered, or the last messages did not arrive everywhere")
        # One that came back too late would never get what was published before.
        self.expect(self.serve(4 * PATIENCE, lambda: all(client.is_subscribed for client in self.returners)),
                    "not all came back")
        self.expect(self.arrive(self.returned, self.returners), "the last messages did not arrive at those who came back")
        self.serve(0.2)  # what comes twice comes now

    # What must hold

    def expect(self, good, problem):
        if not good:
            self.problems.append(problem)

    def check(self):
        publishers = self.publishers + self.returned
        refused = {(p.topic, p.name, number) for p in publishers for number in p.refused}
        unknown = {(p.topic, p.name, number) for p in publishers for number in p.unknown}
        for client in self.returners:
            lost = client.missing - refused - unknown
            self.expect(not lost, f"one that came back misses {len(lost)} messages, such as {sorted(lost)[:3]}")
        first = self.subscribers[0]
        for client in self.subscribers:
            lost = client.missing - refused - unknown
            self.expect(not lost, f"port {client.port}: {len(lost)} messages were lost, such as {sorted(lost)[:3]}")
            arrived = {it for it in refused - client.missing if it[2] <= client.last.get(it[:2], 0)}
            self.expect(not arrived, f"port {client.port}: refused messages have arrived, such as {sorted(arrived)[:3]}")
            self.expect(client.missing == first.missing, "a message without an answer has arrived at some only")
            self.expect(client.orders == first.orders, "subscribers have got the messages of a topic in different orders")
        unanswered = sum(r.unanswered_returns for r in self.returners)
        self.expect(unanswered <= self.worker_deaths * len(self.returners),
                    f"{unanswered} subscriptions without an answer, {self.worker_deaths} deaths of workers")
        lost = sum(p.lost_answers for p in publishers)
        self.expect(lost <= self.worker_deaths, f"{lost} requests without an answer, {self.worker_deaths} deaths of workers")

    def numbers(self):
        publishers = self.publishers + self.returned
        return (f"{sum(len(p.refused) for p in publishers)} of them refused, "
                f"{sum(len(p.unknown) for p in publishers)} without an answer; "
                f"{sum(s.received for s in self.subscribers)} received" + (
                    f"; {sum(r.returns for r in self.returners)} returns to a topic, {sum(r.losses for r in self.returners)} of "
                    f"them too late, {sum(r.unanswered_returns for r in self.returners)} without an answer" if self.returners else ""))

    def published_count(self):
        return sum(p.answered for p in self.publishers + self.returned)

    def close(self):
        for client in self.clients():
            client.close()

    # The end

    def stop(self, servers):
        """Ends servers in an orderly way, and looks into their logs, which are returned."""
        logs = []
        for server in servers:
            server.signal(signal.SIGTERM)
            code = server.wait_gone()
            self.expect(code == 0, f"the end of a server: {code}, {server.processes()}")
            logs.append(server.said())
            for word in ("corrupt", "no longer available", "not stop in time", "runtime error", "Sanitizer"):
                self.expect(word not in logs[-1], f"the log says \"{word}\"")
        return logs

    def report(self, seed, logs):
        for problem in self.problems[:20]:
            print(f"  FAILED: {problem}")
        if self.problems:
            print(f"  {len(self.problems)} problems; seed {seed}; the end of the logs:")
            for log in logs:
                print("\n".join("    " + line for line in log.splitlines()[-30:]), "\n")
