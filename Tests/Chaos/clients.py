"""Clients that know what they sent, and so what was lost, came twice or came out of order."""

import collections
import json
import socket

WINDOW = 8
LARGE = 200_000  # bytes of padding in the answer to a large message, as the fixture has it
FLOOD = 500  # messages that a flooding client sends at once


class Client:
    """A connection that is never waited for: `ready` is called when its socket is readable, `tick` now and then."""

    def __init__(self, port, report):
        self.port = port
        self.report = report
        self.number = 0
        self.answered = 0
        self.lost = 0
        self.ends = 0
        self.socket = None
        self.open()

    def open(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.began()
        self.socket.setblocking(False)

    def fileno(self):
        return self.socket.fileno()

    def send(self, data):
        try:
            self.socket.setblocking(True)
            self.socket.sendall(data)
            self.socket.setblocking(False)
        except OSError:
            pass  # the next read shows it

    def ready(self):
        """False when the connection has ended."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if data:
            self.buffer += data
            return self.take()
        return False

    def close(self):
        self.socket.close()


class WebSocket(Client):
    """Numbered messages, some of which post tasks, several of them unanswered at any time."""

    def began(self):
        self.socket.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        self.is_upgraded = self.is_open = False
        self.worker = None
        self.close_code = None
        self.unanswered = collections.deque()
        self.tasks = {}  # (worker, number) of those that were posted, None while that is not known
        self.results = set()

    @staticmethod
    def encoded(message):
        data = json.dumps(message).encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xff" + len(data).to_bytes(8, "big")
        return b"\x81" + size + bytes(4) + data

    def frame(self, message):
        self.send(self.encoded(message))

    def tick(self, tasks, window=WINDOW):
        if self.is_open and len(self.unanswered) < window:
            self.number += 1
            kind = {0: "task", 4: "large"}.get(self.number % 8, "message") if tasks else "message"
            if kind == "task":
                self.tasks[self.number] = None
            self.unanswered.append(self.number)
            self.frame({kind: {"number": self.number}})

    def take(self):
        if not self.is_upgraded:
            head, self.is_upgraded, rest = self.buffer.partition(b"\r\n\r\n")
            if not self.is_upgraded:
                return True
            self.buffer = rest
            if not head.startswith(b"HTTP/1.1 101"):
                self.report(f"no WebSocket: {head[:40]}")
        return self.take_frames()

    def take_frames(self):
        at = 0
        while len(self.buffer) >= at + 2:
            start, length = at + 2, self.buffer[at + 1]
            if length > 125:
                start, size = at + (4 if length == 126 else 10), 2 if length == 126 else 8
                length = int.from_bytes(self.buffer[start - size:start], "big")
            if len(self.buffer) < start + length:
                break
            opcode, payload = self.buffer[at] & 15, self.buffer[start:start + length]
            at = start + length
            if opcode == 8:
                self.close_code = int.from_bytes(payload[:2], "big")
                return False
            self.answer(payload.decode())
        self.buffer = self.buffer[at:]
        return True

    def answer(self, text):
        message = json.loads(text)
        if "fd" in message:
            self.worker = message["worker"]["pid"]
            self.is_open = True
            return
        name, values = next(iter(message.items()))
        if name == "finished":
            self.result(values["number"])
        else:
            self.message(name, values)

    def message(self, name, values):
        number = values["number"]
        if number not in self.unanswered:
            self.report(f"{name} {number}: answered twice or out of order")
            return
        while self.unanswered[0] != number:
            self.lose(self.unanswered.popleft())
        self.unanswered.popleft()
        self.answered += 1
        if name == "large" and values["padding"] != "x" * LARGE:
            self.report(f"large {number}: {len(values['padding'])} bytes of padding, not {LARGE}")
        if (name in ("message", "large")) == (number in self.tasks):
            self.report(f"{name} {number}: the answer to another kind of message")
        elif name == "refused":
            del self.tasks[number]
        elif name == "posted":
            self.tasks[number] = (values["worker"], values["id"])

    def lose(self, number):
        self.lost += 1

    def result(self, number):
        if number in self.results:
            self.report(f"task {number}: two results")
        self.results.add(number)
        if number not in self.tasks:
            self.report(f"task {number}: a result of no task")

    def open_tasks(self):
        """Of those that were posted for sure: those without a result, by their poster and number."""
        return [task for number, task in self.tasks.items() if task and number not in self.results]


class Flooder(WebSocket):
    """Sends as many messages as it can, and is answered like everybody."""

    def tick(self, tasks=False, window=2 * FLOOD):
        if not self.is_open or len(self.unanswered) > FLOOD:
            return
        frames = b""
        for _ in range(FLOOD):
            self.number += 1
            self.unanswered.append(self.number)
            frames += self.encoded({"message": {"number": self.number}})
        self.send(frames)


class Requests(Client):
    """One request after the other; what fails is counted, and a connection that ended opened again."""

    def began(self):
        self.waits = False

    def tick(self):
        if not self.waits:
            self.number += 1
            self.waits = True
            self.send(f"GET /{self.number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def take(self):
        head, mark, body = self.buffer.partition(b"\r\n\r\n")
        if not mark:
            return True
        length = next(int(f.split(b":")[1]) for f in head.split(b"\r\n") if f.lower().startswith(b"content-length"))
        if len(body) < length:
            return True
        self.buffer = body[length:]
        self.waits = False
        if head.startswith(b"HTTP/1.1 200"):
            self.answered += 1
            if body[:length] != b"/%d" % self.number:
                self.report(f"request {self.number}: the answer of another: {body[:20]}")
        else:
            self.lost += 1
        return True
