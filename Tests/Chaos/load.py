"""The load on a server, and what must hold whatever happens to it."""

import selectors
import time

from clients import Flooder, Line, Requests, Stream, Upload, WebSocket
from fixture import PATIENCE

CONNECTIONS, LINES, REQUESTERS, STREAMS, UPLOADS = 40, 10, 4, 3, 3
WORKERS, TASK_WORKERS = 3, 2
TICK = 0.02


class Load:
    """Clients of each kind: callbacks, straight-line handlers, tasks, requests, responses and bodies in pieces."""

    def __init__(self, mode, server):
        self.mode, self.server = mode, server
        self.problems = []
        self.selector = selectors.DefaultSelector()
        report = self.problems.append
        self.sockets = [WebSocket(server.port, report) for _ in range(CONNECTIONS)]
        self.sockets += [Line(server.port, report) for _ in range(LINES)]
        self.sockets.append(Flooder(server.port, report))
        self.requesters = [Requests(server.port, report) for _ in range(REQUESTERS)]
        # These are in progress for a while, so all of them are lost with their worker.
        self.long = [Stream(server.port, report) for _ in range(STREAMS)]
        self.long += [Upload(server.port, report) for _ in range(UPLOADS)]
        for client in self.clients:
            self.selector.register(client, selectors.EVENT_READ, client)
        self.worker_deaths = self.task_deaths = 0
        self.leaving = set()  # workers whose connections may end
        self.may_end = set()  # clients whose connections may
        self.ended = 0

    @property
    def clients(self):
        return self.sockets + self.requesters + self.long

    def due(self):
        """Called with each tick."""

    def ended_one(self, client):
        self.selector.unregister(client)
        client.close()
        self.ended += 1
        if isinstance(client, WebSocket):
            if client in self.may_end:
                pass
            elif self.mode != "base":
                self.problems.append(f"a connection ended, code {client.close_code}")
            elif client.worker and client.worker not in self.leaving and not self.reloading:
                self.problems.append(f"a connection of worker {client.worker} ended, and that one was left alone")
        elif client.waits:
            client.lost += 1
        client.open()
        self.selector.register(client, selectors.EVENT_READ, client)

    @property
    def reloading(self):
        """A reload takes its time, and replaces also those that it did not see at its beginning."""
        names = [name for name, _ in list(self.server.events)]
        return names.count("beforeReload") > names.count("afterReload")

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
                    self.ended_one(key.data)
        return True

    def load(self):
        for client in self.sockets:
            client.tick(tasks=True)
            client.tick(tasks=True)
        for client in self.requesters + self.long:
            client.tick()

    # The end of it

    def is_complete(self):
        return len(self.server.pids("worker")) == WORKERS and len(self.server.pids("task worker")) == TASK_WORKERS

    def settle(self):
        """All processes are there, and everything that was sent is answered or known to be lost."""
        if not self.serve(PATIENCE, self.is_complete, self.load):
            self.problems.append(f"not all processes came back: {self.server.processes()}")
        # Responses and bodies in pieces take a while, and each death cuts those of its worker.
        self.serve(PATIENCE, lambda: all(client.answered for client in self.clients), self.load)

        def finish():
            # The answer to the last message shows that no earlier answer will follow. It may be the one that is lost.
            for client in self.sockets:
                if client.unanswered:
                    client.tick(tasks=False, window=len(client.unanswered) + 1)

        def is_quiet():
            return not any(c.unanswered for c in self.sockets) and not any(c.waits for c in self.requesters + self.long)

        def end_uploads():
            for client in self.long:
                client.tick(begins=False)

        if not self.serve(PATIENCE, is_quiet, end_uploads):
            finish()
            if not self.serve(PATIENCE, is_quiet):
                stuck = [(type(c).__name__, c.worker, len(c.unanswered)) for c in self.sockets if c.unanswered]
                stuck += [(type(c).__name__, c.buffer[:20]) for c in self.requesters + self.long if c.waits]
                self.problems.append(f"messages are not answered at all: {stuck[:5]}")
        self.serve(PATIENCE if self.mode != "base" else 3, lambda: not self.unresolved())

    def crashed(self):
        """The tasks that were reported as failed with their process."""
        return [(error["worker"], error["id"]) for name, error in list(self.server.events) if name == "taskError"]

    def unresolved(self):
        crashed = set(self.crashed())
        return [task for client in self.sockets for task in client.open_tasks() if task not in crashed]

    @property
    def lost(self):
        return sum(client.lost for client in self.sockets + self.requesters)

    @property
    def cut(self):
        return sum(client.lost for client in self.long)

    def close(self):
        for client in self.clients:
            client.close()

    def expect(self, good, problem):
        if not good:
            self.problems.append(problem)

    def expect_losses(self):
        """That no more is lost than the processes that died had in hand, and that all others are answered."""
        idle = sum(client.answered == 0 for client in self.clients)
        self.expect(idle == 0, f"{idle} clients were never answered")
        unresolved, crashed = len(self.unresolved()), self.crashed()
        if self.mode != "base":
            self.expect(
                self.lost + unresolved <= self.worker_deaths,
                f"{self.lost} messages and {unresolved} results lost by {self.worker_deaths} deaths of workers")
            self.expect(self.lost <= self.worker_deaths, f"{self.lost} lost by {self.worker_deaths} deaths")
            self.expect(self.cut <= self.worker_deaths * len(self.long),
                        f"{self.cut} streams and uploads lost by {self.worker_deaths} deaths")
        self.expect(len(crashed) <= self.task_deaths,
                    f"{len(crashed)} crashed tasks, {self.task_deaths} deaths of task workers")
        self.expect(len(set(crashed)) == len(crashed), "a task was reported as crashed twice")
        resolved = {task for client in self.sockets for number, task in client.tasks.items() if number in client.results}
        self.expect(not resolved & set(crashed), "a task has both a result and a crash")
