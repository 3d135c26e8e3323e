"""A demo as a child process, and clients for it: TCP, HTTP and WebSocket, with the standard library only."""

import base64
import http.client
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

PATIENCE = 30


def wait_for(condition, seconds=PATIENCE):
    """The first true value of `condition`, or its last value."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return value


def processes(session):
    """The title of each process of a session, by pid; daemons have sessions of their own."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found[int(entry.name)] = (entry / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
        except (OSError, ValueError):
            continue  # it has ended
    return found


def kill_session(session):
    for pid in processes(session):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Program:
    """A program in a session of its own. `with` ends all of it."""

    running = set()  # of the sessions of all programs, for a run that is stopped

    def __init__(self, *command, environment=None):
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
            start_new_session=True, env={**os.environ, "SWIFT_BACKTRACE": "enable=no", **(environment or {})})
        self.pid = self.process.pid
        self.running.add(self.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        kill_session(self.pid)
        self.process.wait()
        self.running.discard(self.pid)
        self.output.close()

    def text(self):
        # Not by seeking: the child writes at the same position.
        return os.pread(self.output.fileno(), 1 << 20, 0).decode(errors="replace")

    def count(self, pattern):
        return len(re.findall(pattern, self.text()))

    def prints(self, pattern):
        """The match of a pattern in the output, as soon as there is one."""
        return wait_for(lambda: re.search(pattern, self.text()))

    def stop(self, number=signal.SIGINT):
        """Whether the program ends with exit code 0 and leaves no process."""
        os.kill(self.pid, number)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return False
        return code == 0 and bool(wait_for(lambda: not processes(self.pid)))


class Demo(Program):
    """A demo that listens on a port that the system chooses."""

    folder = Path(os.environ.get("DEMOS_BIN", "."))

    def __init__(self, name, *arguments, port=0, environment=None):
        super().__init__(self.folder / name, port, *arguments, environment=environment)
        self.name = name

    def __enter__(self):
        if not (found := self.prints(r"(?m)^listening on (.*)\n")):
            text = self.text()
            self.__exit__()
            raise RuntimeError(f"{self.name} does not listen: {text}")
        self.ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", found[1])]
        self.port = self.ports[0]
        return self


class Lines:
    """A TCP connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def until(self, end):
        """The received bytes up to `end` and without it; all of them when the connection ends before."""
        while end not in self.buffer:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                data, self.buffer = self.buffer, b""
                return data
            self.buffer += data
        data, _, self.buffer = self.buffer.partition(end)
        return data

    def line(self):
        return self.until(b"\n").decode().rstrip("\r")

    def exactly(self, count):
        while len(self.buffer) < count:
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the connection has ended")
            self.buffer += data
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data


class WebSocket(Lines):
    """A WebSocket: `receive` returns text, or the code of a close as a number."""

    def __init__(self, port, path="/", subprotocol=None):
        super().__init__(port)
        key = base64.b64encode(os.urandom(16)).decode()
        self.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                  f"{f'Sec-WebSocket-Protocol: {subprotocol}' if subprotocol else 'X-None: 1'}\r\n\r\n".encode())
        head = self.until(b"\r\n\r\n").decode(errors="replace")
        if not head.startswith("HTTP/1.1 101 "):
            raise ConnectionError(f"no WebSocket: {head.splitlines()[:1]}")

    def push(self, text):
        data, mask = text.encode(), os.urandom(4)
        head = bytes([0x81, 0x80 | len(data)]) if len(data) < 126 else struct.pack(">BBH", 0x81, 0xFE, len(data))
        self.send(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))

    def receive(self):
        first, length = self.exactly(2)
        if length == 126:
            length, = struct.unpack(">H", self.exactly(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.exactly(8))
        data = self.exactly(length)
        if first & 15 == 8:
            return int.from_bytes(data[:2], "big")
        return data.decode()


def request(port, path="/", method="GET", body=None, **fields):
    """The status and the body of the response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
