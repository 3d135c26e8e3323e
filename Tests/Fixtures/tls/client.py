#!/usr/bin/env python3
"""A client of the TLS tests: client.py PORT AUTHORITY

Commands come as lines of the standard input; each is answered by one line:
  open NAME          connects NAME (also the host that is asked for) and tells version and the certificate's name
  get NAME PATH      a request on NAME: status and body
  upgrade NAME       makes it a WebSocket
  echo NAME TEXT     sends a message and tells what comes back
  close NAME         closing handshake; tells how the connection ended
  raw PORT TEXT      bytes to another port and back; proposes a protocol of its own
  plain              HTTP without TLS: status and body
  old                a handshake with TLS 1.1
"""

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
    return f"{stream.version()} {names['commonName']}"


def get(name, path):
    sockets[name].sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
    return " ".join(response(sockets[name]))


def upgrade(name):
    sockets[name].sendall(
        f"GET / HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    return response(sockets[name])[0]


def echo(name, text):
    message = text.encode() * (100000 if text == "large" else 1)
    sockets[name].sendall(frame(1, message))
    opcode, payload = receive(sockets[name])
    return f"{text} {len(payload)}" if opcode == 1 and payload == message else f"something else: {opcode} {payload[:100]}"


def close(name):
    sockets[name].sendall(frame(8, b"\x03\xe8"))
    opcode, payload = receive(sockets[name])
    rest = sockets[name].recv(1)
    return f"{opcode} {payload.hex()} {len(rest)}"


def raw(port, text):
    made = context()
    made.set_alpn_protocols(["own/1"])
    stream = made.wrap_socket(socket.create_connection(("127.0.0.1", int(port)), timeout=20), server_hostname="a")
    stream.sendall(text.encode())
    return f"{exactly(stream, len(text)).decode()} {stream.selected_alpn_protocol()}"


def plain():
    stream = connect()
    stream.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return " ".join(response(stream))


def old():
    made = context()
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.minimum_version = ssl.TLSVersion.TLSv1
    made.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        made.wrap_socket(connect(), server_hostname="a")
    except ssl.SSLError as error:
        return f"refused {error.reason}"
    return "accepted"


COMMANDS = {"open": open_, "get": get, "upgrade": upgrade, "echo": echo, "close": close, "raw": raw,
            "plain": plain, "old": old}


def main():
    for line in sys.stdin:
        words = line.split()
        try:
            print(COMMANDS[words[0]](*words[1:]), flush=True)
        except (OSError, EOFError) as error:
            print(f"failed: {type(error).__name__} {error}", flush=True)


main()
