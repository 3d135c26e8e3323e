#!/usr/bin/env python3
"""A server of HTTP/2 with prior knowledge that treats requests as its argument says, frame by frame.

Prints its port. Bodies are the number of the connection.
"""
import socket
import struct
import sys
import threading

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
REFUSED_STREAM, INTERNAL_ERROR = 7, 2
OK = b"\x88"  # :status 200

scenario = sys.argv[1]
lock = threading.Lock()
requests = 0
waiting = []  # (connection, stream)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


class Connection:
    def __init__(self, peer, number):
        self.peer, self.number = peer, number
        self.requests = 0
        self.is_open = True

    def send(self, *frames):
        self.peer.sendall(b"".join(frames))

    def answer(self, stream):
        body = str(self.number).encode()
        self.send(frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, END_STREAM, stream, body))

    def reset(self, stream, code):
        self.send(frame(RST_STREAM, 0, stream, struct.pack(">I", code)))

    def go_away(self, last):
        self.send(frame(GOAWAY, 0, 0, struct.pack(">II", last, 0)))

    def end(self):
        self.is_open = False
        self.peer.shutdown(socket.SHUT_RDWR)

    def request(self, stream):
        global requests
        with lock:
            requests += 1
            count = requests
        self.requests += 1
        if scenario == "refused" and count <= 2:
            self.reset(stream, REFUSED_STREAM)
        elif scenario == "always-refused":
            self.reset(stream, REFUSED_STREAM)
        elif scenario == "reset" or scenario == "reset-second" and count == 2:
            self.reset(stream, INTERNAL_ERROR)
        elif scenario == "goaway":
            self.answer(stream)
            self.go_away(stream)
        elif scenario == "goaway-unprocessed" and self.number == 1:
            self.go_away(0)
        elif scenario == "goaway-large":
            self.send(frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, b"first "))
            self.go_away(stream)
            self.send(frame(DATA, END_STREAM, stream, str(self.number).encode()))
        elif scenario == "close-second" and self.number == 1 and self.requests == 2:
            self.end()
        elif scenario == "limit":
            with lock:
                waiting.append((self, stream))
                if len(waiting) == 5:
                    for connection, number in waiting:
                        connection.answer(number)
        elif scenario == "refused-late":
            self.send(frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, b"part"))
            self.reset(stream, REFUSED_STREAM)
        elif scenario == "cut":
            self.send(frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, b"part"))
            self.end()
        elif scenario == "large-head":
            filler = b"".join(literal(b"x%d" % i, b"y" * 120) for i in range(30))
            self.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, OK + filler))
        elif scenario == "trailers":
            self.send(
                frame(HEADERS, END_HEADERS, stream, b"\x08\x03103" + literal(b"link", b"</a>")),
                frame(HEADERS, END_HEADERS, stream, OK + literal(b"x", b"y")),
                frame(DATA, 0, stream, b"body"),
                frame(HEADERS, END_HEADERS | END_STREAM, stream, literal(b"checksum", b"1")))
        else:
            self.answer(stream)

    def settings(self):
        if scenario == "no-room":  # but WebSockets
            return frame(SETTINGS, 0, 0, struct.pack(">HIHI", 3, 0, 8, 1))
        limit = struct.pack(">HI", 3, 2) if scenario == "limit" else b""
        return frame(SETTINGS, 0, 0, limit)

    def serve(self):
        if scenario == "http1":
            self.peer.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return self.end()
        stream = self.peer.makefile("rb")
        stream.read(24)
        self.send(self.settings())
        while self.is_open:
            head = stream.read(9)
            if len(head) < 9:
                return
            length, kind, flags, number = head[0] << 16 | head[1] << 8 | head[2], head[3], head[4], head[5:9]
            payload = stream.read(length)
            if kind == HEADERS:
                self.request(struct.unpack(">I", number)[0])
            elif kind == SETTINGS and not flags & ACK:
                self.send(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self.send(frame(PING, ACK, 0, payload))


def serve(connection):
    try:
        connection.serve()
    except OSError:
        pass  # the client has left


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
accepted = 0
while True:
    peer, _ = listener.accept()
    accepted += 1
    threading.Thread(target=serve, args=(Connection(peer, accepted),), daemon=True).start()
