#!/usr/bin/env python3
"""A client of the TLS tests: client.py PORT AUTHORITY

Each line of the standard input is a command as JSON, like {"get": {"name": "one", "path": "/"}}, and is answered by a
line with a list of texts. Tests/SwiftServerTests/Support/TLSClient.swift describes the commands.
"""

import json
import socket
import ssl
import struct
import sys
import warnings

PORT, AUTHORITY = int(sys.argv[1]), sys.argv[2]
sockets = {}
warnings.simplefilter("ignore")  # that TLS 1.1 is old is the point of it


def context():
    made = ssl.create_default_context(cafile=AUTHORITY)
    made.check_hostname = False
    return made


def connect():
    return socket.create_connection(("127.0.0.1", PORT), timeout=20)


def exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def response(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(stream, 1)
    length = 0
    for line in head.decode().split("\r\n"):
        if line.lower().startswith("content-length:"):
            length = int(line.split(":")[1])
    return head.split()[1].decode(), exactly(stream, length).decode().strip()


def frame(opcode, payload):
    size = len(payload)
    length = struct.pack(">B", 128 | size) if size < 126 else struct.pack(">BQ", 255, size)
    return bytes([128 | opcode]) + length + bytes(4) + payload


def receive(stream):
    first, size = exactly(stream, 2)
    if size == 126:
        size, = struct.unpack(">H", exactly(stream, 2))
    elif size == 127:
        size, = struct.unpack(">Q", exactly(stream, 8))
    return first & 15, exactly(stream, size)


def open_(name):
    stream = sockets[name] = context().wrap_socket(connect(), server_hostname=name)
    names = dict(entry[0] for entry in stream.getpeercert()["subject"])
    return stream.version(), names["commonName"]


def get(name, path):
    sockets[name].sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
    return response(sockets[name])


def upgrade(name):
    sockets[name].sendall(
        f"GET / HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    return response(sockets[name])[:1]


def echo(name, text, times):
    message = text.encode() * times
    sockets[name].sendall(frame(1, message))
    opcode, payload = receive(sockets[name])
    return [len(payload)] if opcode == 1 and payload == message else ["something else", opcode, payload[:100]]


def send(name, text):
    sockets[name].sendall(frame(1, text.encode()))
    return ["sent"]


def ping(name):
    sockets[name].sendall(frame(9, b"p"))
    return [receive(sockets[name])[0]]


def receive_(name):
    _, payload = receive(sockets[name])
    return [payload.split()[0].decode(), len(payload)]


def close(name):
    sockets[name].sendall(frame(8, b"\x03\xe8"))
    opcode, payload = receive(sockets[name])
    rest = sockets[name].recv(1)
    return opcode, payload.hex(), len(rest)


def raw(port, text):
    made = context()
    made.set_alpn_protocols(["own/1"])
    stream = made.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=20), server_hostname="a")
    stream.sendall(text.encode())
    return exactly(stream, len(text)).decode(), stream.selected_alpn_protocol() or ""


def plain():
    stream = connect()
    stream.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return response(stream)


def old():
    made = context()
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.minimum_version = ssl.TLSVersion.TLSv1
    made.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        made.wrap_socket(connect(), server_hostname="a")
    except ssl.SSLError as error:
        return "refused", error.reason
    return ["accepted"]


COMMANDS = {"open": open_, "get": get, "upgrade": upgrade, "send": send, "ping": ping, "receive": receive_,
            "echo": echo, "close": close, "raw": raw, "plain": plain, "old": old}


def main():
    for line in sys.stdin:
        name, arguments = next(iter(json.loads(line).items()))
        try:
            answer = COMMANDS[name](**arguments)
        except (OSError, EOFError) as error:
            answer = "failed", type(error).__name__, error
        print(json.dumps([str(text) for text in answer]), flush=True)


main()
