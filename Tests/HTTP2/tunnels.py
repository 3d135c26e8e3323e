"""RFC 8441: WebSockets over HTTP/2, and section 8.5 of RFC 9113."""

import struct

from client import (DATA, ENABLE_CONNECT_PROTOCOL, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, PADDED,
                    PROTOCOL_ERROR, RST_STREAM, Failure, fields_of, literal, setting)
from suite import case, has_websockets
from websocket import BINARY, CLOSE, DEFLATE, PONG, PING, TEXT, WebSocket

METHOD, SCHEME, AUTHORITY, PATH = fields_of()
CONNECT, PROTOCOL = (":method", "CONNECT"), (":protocol", "websocket")


@case("RFC 8441 3", "the server announces extended CONNECT")
def _(suite):
    value = suite.connect().server_settings.get(ENABLE_CONNECT_PROTOCOL)
    if value != (1 if suite.has_tunnels else None):
        raise Failure(f"SETTINGS_ENABLE_CONNECT_PROTOCOL is {value}")


VERSION = ("sec-websocket-version", "13")


@case("RFC 8441 5", "a WebSocket is opened with 200 and closed with END_STREAM", lambda suite: suite.has_tunnels)
def _(suite):
    c = suite.connect()
    c.headers(1, [CONNECT, PROTOCOL, SCHEME, AUTHORITY, PATH, VERSION], end=False)
    got = c.until(lambda got: got.kind == HEADERS, "a response")
    if dict(got.fields)[":status"] != "200" or got.ends:
        raise Failure(f"{got.fields}, {got}")
    c.data(1, b"\x88\x82\0\0\0\0\x03\xe8", end=True)
    c.until(lambda got: got.stream == 1 and (got.ends or got.kind == RST_STREAM), "the end of the stream")


for title, fields in [
    (":protocol with GET", [METHOD, PROTOCOL, SCHEME, AUTHORITY, PATH]),
    ("no :path", [CONNECT, PROTOCOL, SCHEME, AUTHORITY]),
    ("no :scheme", [CONNECT, PROTOCOL, AUTHORITY, PATH]),
    ("no :authority", [CONNECT, PROTOCOL, SCHEME, PATH]),
    ("two :protocol fields", [CONNECT, PROTOCOL, PROTOCOL, SCHEME, AUTHORITY, PATH]),
    (":protocol behind other fields", [CONNECT, SCHEME, AUTHORITY, PATH, VERSION, PROTOCOL]),
    ("Upgrade and Connection", [CONNECT, PROTOCOL, SCHEME, AUTHORITY, PATH, ("connection", "upgrade"),
                                ("upgrade", "websocket")]),
    ("a length", [CONNECT, PROTOCOL, SCHEME, AUTHORITY, PATH, VERSION, ("content-length", "5")]),
]:

    @case("RFC 8441 4", title)
    def _(suite, fields=fields):
        c = suite.connect()
        c.headers(1, fields, end=False)
        c.malformed(1)


for title, protocol, version in [("an unknown protocol", "connect-udp", VERSION),
                                 ("an unknown version", "websocket", ("sec-websocket-version", "12")),
                                 ("no version", "websocket", ("x-a", "b"))]:

    @case("RFC 8441 4", title, has_websockets)
    def _(suite, protocol=protocol, version=version):
        c = suite.connect()
        c.headers(1, [CONNECT, (":protocol", protocol), SCHEME, AUTHORITY, PATH, version], end=False)
        _, fields, _ = c.response(1, (400, 426, 501))
        if version[1] == "12" and dict(fields).get("sec-websocket-version") != "13":
            raise Failure(f"no version is named: {fields}")
        WebSocket(c, 3).echo(b"served")


@case("RFC 8441 5", "the key of the handshake in HTTP/1.1 is neither needed nor answered", has_websockets)
def _(suite):
    c = suite.connect()
    socket = WebSocket(c, 1, more=[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")])
    if wrong := {"sec-websocket-accept", "connection", "upgrade"} & set(socket.answer):
        raise Failure(f"{wrong} in {socket.answer}")
    socket.close()


@case("RFC 8441 5", "many WebSockets on one connection, beside requests", has_websockets)
def _(suite):
    c = suite.connect()
    sockets = [WebSocket(c, 2 * index + 1) for index in range(30)]
    for turn in range(3):
        for index, socket in enumerate(sockets):
            socket.send(b"%d of %d" % (turn, index))
        for index, socket in enumerate(sockets):
            if (got := socket.receive()) != (TEXT, b"%d of %d" % (turn, index)):
                raise Failure(f"{got} in place of message {turn} of stream {socket.stream}")
        c.headers(2 * turn + 61)
        c.response(2 * turn + 61)
    for socket in sockets:
        socket.close()


@case("RFC 8441 5", "messages before the answer to the handshake", has_websockets)
def _(suite):
    c = suite.connect()
    early = b"\x81\x85\0\0\0\0early"
    c.headers(1, [CONNECT, PROTOCOL, SCHEME, AUTHORITY, PATH, VERSION], end=False)
    c.data(1, early)
    got = c.until(lambda got: got.kind == DATA and got.stream == 1, "the echo")
    if got.payload != b"\x81\x05early":
        raise Failure(f"{got.payload!r}")


@case("RFC 8441 5", "a message in DATA frames of one byte, with padding", has_websockets)
def _(suite):
    c = suite.connect()
    socket = WebSocket(c, 1)
    for byte in b"\x82\x8a\0\0\0\0ten bytes!":
        c.frame(DATA, PADDED, 1, bytes([3, byte, 0, 0, 0]))
    if (got := socket.receive()) != (BINARY, b"ten bytes!"):
        raise Failure(f"{got}")


@case("RFC 8441 5", "large messages in both directions", has_websockets)
def _(suite):
    c = suite.connect()
    socket = WebSocket(c, 1)
    message = bytes(range(256)) * 235  # within the first window
    for _ in range(5):
        socket.echo(message, BINARY)
    socket.close()


@case("RFC 8441 5, RFC 7692", "compressed messages", has_websockets)
def _(suite):
    c = suite.connect()
    socket = WebSocket(c, 1, more=[DEFLATE])
    if not socket.compresses and suite.compresses:
        raise Failure(f"compression was not agreed: {socket.answer}")
    for number in range(5):
        socket.echo(b"text %d " % number * 10000)
    if socket.compressed_received != (5 if socket.compresses else 0):
        raise Failure(f"{socket.compressed_received} compressed messages")
    plain = WebSocket(c, 3)
    if plain.compresses:
        raise Failure("compression was not asked for")
    plain.echo(b"text " * 10000)
    socket.close()


@case("RFC 8441 5, RFC 6455", "PING is answered", has_websockets)
def _(suite):
    c = suite.connect()
    socket = WebSocket(c, 1)
    socket.send(b"payload", PING)
    if (got := socket.receive()) != (PONG, b"payload"):
        raise Failure(f"{got}")


for title, bytes_sent, code in [("a frame without a mask", b"\x81\x05hello", 1002),
                                ("text that is not UTF-8", b"\x81\x81\0\0\0\0\xff", 1007),
                                ("a message that is too large", b"\x82\xff\0\0\0\1\0\0\0\0" + bytes(4), 1009)]:

    @case("RFC 8441 5, RFC 6455", f"{title} closes one WebSocket", has_websockets)
    def _(suite, bytes_sent=bytes_sent, code=code):
        c = suite.connect()
        socket, other = WebSocket(c, 1), WebSocket(c, 3)
        c.data(1, bytes_sent)
        got = socket.receive()
        if got[0] != CLOSE or got[1][:2] != struct.pack(">H", code):
            raise Failure(f"{got} in place of a close with {code}")
        c.data(1, b"\x88\x82\0\0\0\0" + struct.pack(">H", code), end=True)
        other.echo(b"not concerned")


@case("RFC 8441 5", "a stream that ends without a close", has_websockets)
def _(suite):
    c = suite.connect()
    socket, other = WebSocket(c, 1), WebSocket(c, 3)
    socket.echo(b"message")
    c.data(1, end=True)
    c.until(lambda got: got.stream == 1 and (got.ends or got.kind == RST_STREAM), "the end of the stream")
    other.echo(b"not concerned")


@case("RFC 8441 5", "a stream that is reset", has_websockets)
def _(suite):
    c = suite.connect()
    socket, other = WebSocket(c, 1), WebSocket(c, 3)
    socket.send(b"message")
    c.reset(1)
    other.echo(b"not concerned")


@case("8.5", "HEADERS within a tunnel", has_websockets)
def _(suite):
    c = suite.connect()
    WebSocket(c, 1)
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, literal("x-a", "b"))
    c.stream_error(1, PROTOCOL_ERROR)


@case("RFC 8441 5", "a client that does not take the messages of one WebSocket gets those of others", has_websockets)
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 0))
    slow, fast = WebSocket(c, 1), WebSocket(c, 3)
    c.window(3, 1 << 20)
    for number in range(20):
        slow.send(b"x" * 1000)
        fast.echo(b"message %d" % number)
    c.window(1, 1 << 20)
    for _ in range(20):
        if slow.receive() != (TEXT, b"x" * 1000):
            raise Failure("a message was lost")
