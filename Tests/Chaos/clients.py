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

    path, protocol = b"/", b""

    def began(self):
        self.socket.sendall(
            b"GET " + self.path + b" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
            (b"Sec-WebSocket-Protocol: " + self.protocol + b"\r\n" if self.protocol else b"") + b"\r\n")
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


class Line(WebSocket):
    """Its handler is straight-line code, and posts no tasks."""

    path = b"/line"

    def tick(self, tasks=False, window=WINDOW):
        if self.is_open and len(self.unanswered) < window:
            self.number += 1
            self.unanswered.append(self.number)
            self.frame({"message" if self.number % 16 else "large": {"number": self.number}})


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


class Stream(Client):
    """A response in pieces, one after the other."""

    PIECES, SIZE = 24, 4096

    def began(self):
        self.waits = False

    def tick(self, begins=True):
        if begins and not self.waits:
            self.waits = True
            self.send(b"GET /stream?pieces=%d HTTP/1.1\r\nHost: x\r\n\r\n" % self.PIECES)

    def take(self):
        head, mark, rest = self.buffer.partition(b"\r\n\r\n")
        if not mark:
            return True
        if not head.startswith(b"HTTP/1.1 200"):
            return False  # and it is counted as lost
        if not rest.endswith(b"\r\n0\r\n\r\n"):
            return True
        self.buffer = b""
        self.waits = False
        self.answered += 1
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            body += rest[:int(size, 16)]
            rest = rest[int(size, 16) + 2:]
        if body != b"".join(bytes([97 + piece % 26]) * self.SIZE for piece in range(self.PIECES)):
            self.report(f"a response in pieces has {len(body)} other bytes")
        return True


class Upload(Client):
    """A body in pieces, one with each tick."""

    PIECES, SIZE = 16, 8192

    def began(self):
        self.waits = False

    def tick(self, begins=True):
        if not self.waits:
            if not begins:
                return
            self.waits, self.sent = True, 0
            self.send(b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        elif self.sent < self.PIECES:
            self.sent += 1
            self.send(b"%x\r\n" % self.SIZE + b"u" * self.SIZE + b"\r\n")
            if self.sent == self.PIECES:
                self.send(b"0\r\n\r\n")

    def take(self):
        head, mark, body = self.buffer.partition(b"\r\n\r\n")
        if not mark:
            return True
        if not head.startswith(b"HTTP/1.1 200"):
            return False  # and it is counted as lost
        expected = b"%d" % (self.PIECES * self.SIZE)
        if len(body) < len(expected):
            return True
        if body != expected:
            self.report(f"an upload: {body[:20]}, not {expected}")
        self.buffer = b""
        self.waits = False
        self.answered += 1
        return True
