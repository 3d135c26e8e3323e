"""RFC 9113 sections 3 to 7: connections, frames, streams and errors."""

import select
import struct

from client import (ACK, COMPRESSION_ERROR, CONTINUATION, DATA, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, END_HEADERS,
                    END_STREAM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADER_TABLE_SIZE, HEADERS,
                    INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE,
                    NO_RFC7540_PRIORITIES, PADDED, PING, PREFACE, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE,
                    REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, WITH_PRIORITY, Failure,
                    block_of, fields_of, frame, literal, setting)
from suite import case, has_websockets, is_whole
from websocket import BINARY, WebSocket

# ---- 3.4: the preface ----


@case("3.4", "a client that sends something else is not served")
def _(suite):
    c = suite.connect(None)
    c.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + frame(SETTINGS))
    c.refused()


@case("3.4", "the preface and a request in one piece, before the server's SETTINGS")
def _(suite):
    c = suite.connect(None)
    c.send(PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS | END_STREAM, 1, block_of(fields_of())))
    c.response(1)
    if c.seen[0].kind != SETTINGS:
        raise Failure(f"the first frame is {c.seen[0]}")


@case("3.4", "the first frame of a client must be SETTINGS")
def _(suite):
    c = suite.connect(None)
    c.send(PREFACE)
    c.headers(1)
    c.goaway(PROTOCOL_ERROR)


@case("3.4", "the preface byte by byte")
def _(suite):
    c = suite.connect(None)
    for byte in PREFACE + frame(SETTINGS):
        c.send(bytes([byte]))
    c.settle()
    c.headers(1)
    c.response(1)


# ---- 4: frames ----


@case("4.1", "frames of unknown types are ignored")
def _(suite):
    c = suite.connect()
    c.frame(0x16, 0, 0, b"12345678")
    c.frame(0xFE, 0xFF, 7, b"x" * 100)
    c.alive()


@case("4.1", "flags without a meaning are ignored")
def _(suite):
    c = suite.connect()
    c.frame(PING, 0x16, 0, b"flagflag")
    c.until(lambda got: got.kind == PING and got.flags == ACK and got.payload == b"flagflag", "the answer to a PING")


@case("4.1", "the reserved bit of a stream identifier is ignored")
def _(suite):
    c = suite.connect()
    c.frame(PING, 0, 1 << 31, b"reserved")
    c.until(lambda got: got.kind == PING and got.payload == b"reserved", "the answer to a PING")


@case("4.2", "a frame of the least maximum size is taken")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.data(1, b"x" * 16384, end=True)
    c.response(1)


@case("4.2", "DATA larger than the maximum frame size")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.data(1, b"x" * (c.server_settings.get(MAX_FRAME_SIZE, 16384) + 1))
    c.stream_error(1, FRAME_SIZE_ERROR)


@case("4.2", "HEADERS larger than the maximum frame size")
def _(suite):
    c = suite.connect()
    c.headers(1, more=[("x-a", "x" * c.server_settings.get(MAX_FRAME_SIZE, 16384))])
    c.goaway(FRAME_SIZE_ERROR)


@case("4.2", "SETTINGS larger than the maximum frame size")
def _(suite):
    c = suite.connect()
    c.frame(SETTINGS, 0, 0, setting(0xF000, 1) * 2731)
    c.goaway(FRAME_SIZE_ERROR)


@case("4.3", "a field block that cannot be decoded")
def _(suite):
    c = suite.connect()
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
    c.goaway(COMPRESSION_ERROR)


@case("4.3", "a field block that is cut off")
def _(suite):
    c = suite.connect()
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, block_of(fields_of()) + b"\x00\x05ab")
    c.goaway(COMPRESSION_ERROR)


@case("4.3", "a field block in many frames, split within fields")
def _(suite):
    c = suite.connect()
    block = block_of(fields_of(more=[("x-a", "b")]))
    pieces = [block[at:at + 12] for at in range(0, len(block), 12)]
    c.frame(HEADERS, END_STREAM, 1, pieces[0])
    for index, piece in enumerate(pieces[1:]):
        c.frame(CONTINUATION, END_HEADERS if index == len(pieces) - 2 else 0, 1, piece)
    c.response(1)


for name, kind, stream, payload in [("PRIORITY", PRIORITY, 1, b"\0\0\0\0\0"), ("PING", PING, 0, b"12345678"),
                                    ("DATA", DATA, 1, b"x"), ("an unknown frame", 0xF1, 1, b"x"),
                                    ("HEADERS of another stream", HEADERS, 3, block_of(fields_of())),
                                    ("CONTINUATION of another stream", CONTINUATION, 3, b"")]:

    @case("4.3, 6.2, 6.10", f"{name} within a field block")
    def _(suite, kind=kind, stream=stream, payload=payload):
        c = suite.connect()
        block = block_of(fields_of())
        c.send(frame(HEADERS, END_STREAM, 1, block[:10]) + frame(kind, 0, stream, payload))
        c.goaway(PROTOCOL_ERROR)


# ---- 5: streams ----

for name, kind, payload in [("DATA", DATA, b"x"), ("RST_STREAM", RST_STREAM, b"\0\0\0\x08"),
                            ("WINDOW_UPDATE", WINDOW_UPDATE, b"\0\0\0\x01"), ("CONTINUATION", CONTINUATION, b"")]:

    @case("5.1", f"idle: {name}")
    def _(suite, kind=kind, payload=payload):
        c = suite.connect()
        c.frame(kind, END_HEADERS if kind == CONTINUATION else 0, 1, payload)
        c.goaway(PROTOCOL_ERROR)


@case("5.1", "idle: PRIORITY is permitted")
def _(suite):
    c = suite.connect()
    c.frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")
    c.headers(1)
    c.response(1)


@case("5.1", "half-closed (remote): DATA")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 0))  # the response cannot end
    c.headers(1)
    c.data(1, b"x")
    c.stream_error(1, STREAM_CLOSED)


@case("5.1", "half-closed (remote): HEADERS")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 0))
    c.headers(1)
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, literal("x-a", "b"))
    c.stream_error(1, STREAM_CLOSED)


@case("5.1", "half-closed (remote): CONTINUATION")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 0))
    c.headers(1)
    c.frame(CONTINUATION, END_HEADERS, 1, literal("x-a", "b"))
    c.stream_error(1, STREAM_CLOSED, PROTOCOL_ERROR)


@case("5.1", "half-closed (remote): WINDOW_UPDATE, PRIORITY and RST_STREAM are permitted")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 0))
    c.headers(1)
    c.window(1, 1)
    c.frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")
    c.reset(1)
    c.alive()


@case("5.1", "closed by RST_STREAM: DATA")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.reset(1)
    c.data(1, b"x")
    c.alive_or_error(STREAM_CLOSED)


@case("5.1", "closed by RST_STREAM: HEADERS")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.reset(1)
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, literal("x-a", "b"))
    c.alive_or_error(STREAM_CLOSED)


@case("5.1", "closed: DATA")
def _(suite):
    c = suite.connect()
    c.headers(1)
    c.response(1)
    c.data(1, b"x")
    c.alive_or_error(STREAM_CLOSED)


@case("5.1", "closed: HEADERS")
def _(suite):
    c = suite.connect()
    c.headers(1)
    c.response(1)
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, block_of(fields_of()))
    c.alive_or_error(STREAM_CLOSED, PROTOCOL_ERROR)


@case("5.1", "closed: CONTINUATION")
def _(suite):
    c = suite.connect()
    c.headers(1)
    c.response(1)
    c.frame(CONTINUATION, END_HEADERS, 1, literal("x-a", "b"))
    c.goaway(STREAM_CLOSED, PROTOCOL_ERROR)


@case("5.1", "closed: WINDOW_UPDATE, PRIORITY and RST_STREAM are permitted")
def _(suite):
    c = suite.connect()
    c.headers(1)
    c.response(1)
    c.window(1, 1)
    c.frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")
    c.reset(1)
    c.alive()


@case("5.1.1", "a request with an even stream identifier")
def _(suite):
    c = suite.connect()
    c.headers(2)
    c.goaway(PROTOCOL_ERROR)


@case("5.1.1", "a stream identifier that is lower than a previous one")
def _(suite):
    c = suite.connect()
    c.headers(5)
    c.response(5)
    c.headers(3)
    # It may be one that the server has reset before the client knew, so ignoring it is permitted; serving is not.
    c.alive_or_error(PROTOCOL_ERROR, STREAM_CLOSED)
    if any(got.kind == HEADERS and got.stream == 3 for got in c.seen):
        raise Failure("it was served")


@case("5.1.1", "stream identifiers may be skipped")
def _(suite):
    c = suite.connect()
    for stream in (1, 9, 2**31 - 1):
        c.headers(stream)
        c.response(stream)


@case("5.1.2", "more streams than SETTINGS_MAX_CONCURRENT_STREAMS")
def _(suite):
    c = suite.connect()
    most = c.server_settings.get(MAX_CONCURRENT_STREAMS)
    if not most or most > 1000:
        raise Failure(f"no useful limit of streams: {most}")
    for index in range(most + 1):
        c.post(2 * index + 1)
    c.stream_error(2 * most + 1, PROTOCOL_ERROR, REFUSED_STREAM)


@case("5.1.2", "as many streams as permitted, and again when they are closed")
def _(suite):
    c = suite.connect()
    most = min(c.server_settings.get(MAX_CONCURRENT_STREAMS, 100), 100)
    for turn in range(2):
        streams = [2 * (turn * most + index) + 1 for index in range(most)]
        for stream in streams:
            c.post(stream)
        for stream in streams:
            c.data(stream, end=True)
        left = set(streams)
        while left:
            got = c.until(lambda got: got.ends or got.kind == RST_STREAM, "responses")
            if got.kind == RST_STREAM:
                raise Failure(f"{got} instead of a response")
            left.discard(got.stream)


@case("5.3.1", "a stream that depends on itself, by HEADERS")
def _(suite):
    c = suite.connect()
    c.frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, b"\0\0\0\x01\xff" + block_of(fields_of()))
    c.answered_or_error(1, PROTOCOL_ERROR)  # RFC 9113 deprecates such priorities


@case("5.3.1", "a stream that depends on itself, by PRIORITY")
def _(suite):
    c = suite.connect()
    c.frame(PRIORITY, 0, 1, b"\0\0\0\x01\xff")
    c.alive_or_error(PROTOCOL_ERROR)


@case("5.3.2", "priority fields of HEADERS")
def _(suite):
    c = suite.connect()
    c.frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, b"\x80\0\0\0\xff" + block_of(fields_of()))
    c.response(1)


@case("5.4.1", "a connection error names the last stream and closes the connection")
def _(suite):
    c = suite.connect()
    c.headers(1)
    c.response(1)
    c.frame(PING, 0, 3, b"12345678")
    got = c.goaway(PROTOCOL_ERROR)
    last = struct.unpack_from(">I", got.payload)[0]
    if last != 1:
        raise Failure(f"GOAWAY names stream {last}")


@case("5.4.2", "a stream error leaves other streams alone")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.headers(3, fields_of(more=[("Upper", "x")]))
    c.malformed(3)
    c.data(1, b"x", end=True)
    c.response(1)


@case("5.5", "an unknown setting is ignored")
def _(suite):
    c = suite.connect(setting(0xF0F0, 0xFFFFFFFF))
    c.headers(1)
    c.response(1)


# ---- 6.1: DATA ----


@case("6.1", "DATA of stream 0")
def _(suite):
    c = suite.connect()
    c.data(0, b"x")
    c.goaway(PROTOCOL_ERROR)


@case("6.1", "padding")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.frame(DATA, PADDED, 1, b"\x05abc" + b"\0" * 5)
    c.frame(DATA, PADDED | END_STREAM, 1, b"\0")
    c.response(1)


@case("6.1", "as much padding as payload")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.frame(DATA, PADDED, 1, b"\x05abcd")
    c.goaway(PROTOCOL_ERROR)


@case("6.1", "PADDED without a length of the padding")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.frame(DATA, PADDED, 1, b"")
    c.goaway(FRAME_SIZE_ERROR, PROTOCOL_ERROR)


# ---- 6.2: HEADERS ----


@case("6.2", "HEADERS of stream 0")
def _(suite):
    c = suite.connect()
    c.headers(0)
    c.goaway(PROTOCOL_ERROR)


@case("6.2", "padding and a priority")
def _(suite):
    c = suite.connect()
    block = block_of(fields_of())
    c.frame(HEADERS, END_HEADERS | END_STREAM | PADDED | WITH_PRIORITY, 1, b"\x03\0\0\0\0\x10" + block + b"\0\0\0")
    c.response(1)


@case("6.2", "more padding than payload")
def _(suite):
    c = suite.connect()
    block = block_of(fields_of())
    c.frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, bytes([len(block) + 1]) + block)
    c.goaway(PROTOCOL_ERROR)


@case("6.2", "a priority that is cut off")
def _(suite):
    c = suite.connect()
    c.frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, b"\0\0\0")
    c.goaway(FRAME_SIZE_ERROR, PROTOCOL_ERROR)


# ---- 6.3, 6.4: PRIORITY, RST_STREAM ----


@case("6.3", "PRIORITY of stream 0")
def _(suite):
    c = suite.connect()
    c.frame(PRIORITY, 0, 0, b"\0\0\0\0\x10")
    c.goaway(PROTOCOL_ERROR)


@case("6.3", "PRIORITY of a wrong length")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.frame(PRIORITY, 0, 1, b"\0\0\0\x10")
    c.stream_error(1, FRAME_SIZE_ERROR)


@case("6.4", "RST_STREAM of stream 0")
def _(suite):
    c = suite.connect()
    c.reset(0)
    c.goaway(PROTOCOL_ERROR)


@case("6.4", "RST_STREAM of a wrong length")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.frame(RST_STREAM, 0, 1, b"\0\0\0")
    c.goaway(FRAME_SIZE_ERROR)


# ---- 6.5: SETTINGS ----

for title, flags, stream, payload, code in [
    ("an acknowledgement with a payload", ACK, 0, b"\0" * 6, FRAME_SIZE_ERROR),
    ("SETTINGS of a stream", 0, 1, b"", PROTOCOL_ERROR),
    ("a length that is no multiple of 6", 0, 0, b"\0\x03\0", FRAME_SIZE_ERROR),
    ("SETTINGS_ENABLE_PUSH of 2", 0, 0, setting(ENABLE_PUSH, 2), PROTOCOL_ERROR),
    ("SETTINGS_INITIAL_WINDOW_SIZE of 2^31", 0, 0, setting(INITIAL_WINDOW_SIZE, 1 << 31), FLOW_CONTROL_ERROR),
    ("SETTINGS_MAX_FRAME_SIZE of 2^14 - 1", 0, 0, setting(MAX_FRAME_SIZE, 16383), PROTOCOL_ERROR),
    ("SETTINGS_MAX_FRAME_SIZE of 2^24", 0, 0, setting(MAX_FRAME_SIZE, 1 << 24), PROTOCOL_ERROR),
    ("SETTINGS_ENABLE_CONNECT_PROTOCOL of 2 (RFC 8441 3)", 0, 0, setting(ENABLE_CONNECT_PROTOCOL, 2), PROTOCOL_ERROR),
    ("SETTINGS_NO_RFC7540_PRIORITIES of 2 (RFC 9218 2.1)", 0, 0, setting(NO_RFC7540_PRIORITIES, 2), PROTOCOL_ERROR),
]:

    @case("6.5", title)
    def _(suite, flags=flags, stream=stream, payload=payload, code=code):
        c = suite.connect()
        c.frame(SETTINGS, flags, stream, payload)
        c.goaway(code)


@case("6.5.2", "values at their limits")
def _(suite):
    c = suite.connect(
        setting(ENABLE_PUSH, 1) + setting(INITIAL_WINDOW_SIZE, 2**31 - 1) + setting(MAX_FRAME_SIZE, 2**24 - 1) +
        setting(HEADER_TABLE_SIZE, 0) + setting(MAX_CONCURRENT_STREAMS, 0) + setting(MAX_HEADER_LIST_SIZE, 2**32 - 1))
    c.headers(1)
    c.response(1)


@case("6.5.2", "frames of the server are as large as the client permits, not larger")
def _(suite):
    c = suite.connect(setting(MAX_FRAME_SIZE, 100_000) + setting(INITIAL_WINDOW_SIZE, 1 << 20))
    c.max_frame_size = 100_000
    c.window(0, 1 << 20)
    c.headers(1, fields_of(path=suite.large))
    c.response(1)
    c.frame(SETTINGS, 0, 0, setting(MAX_FRAME_SIZE, 16384))
    c.until(lambda got: got.kind == SETTINGS and got.flags & ACK, "an acknowledgement")
    c.max_frame_size = 16384
    c.headers(3, fields_of(path=suite.large))
    c.response(3)


@case("6.5.2", "ENABLE_CONNECT_PROTOCOL and NO_RFC7540_PRIORITIES of a client")
def _(suite):
    c = suite.connect(setting(ENABLE_CONNECT_PROTOCOL, 1) + setting(NO_RFC7540_PRIORITIES, 1))
    c.frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")
    c.headers(1)
    c.response(1)


@case("6.5.3", "each SETTINGS is acknowledged, in order")
def _(suite):
    c = suite.connect()
    c.send(frame(SETTINGS, 0, 0, setting(MAX_FRAME_SIZE, 20000)) * 3)
    for _ in range(3):
        c.until(lambda got: got.kind == SETTINGS and got.flags & ACK, "an acknowledgement")
    c.alive()


@case("6.5.3", "of a setting that is there twice, the last value counts")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 100) + setting(INITIAL_WINDOW_SIZE, 1))
    c.headers(1)
    got = c.until(lambda got: got.kind == DATA, "DATA")
    if len(got.payload) != 1:
        raise Failure(f"{got} with a window of 1")


# ---- 6.6, 8.4: PUSH_PROMISE ----


@case("6.6, 8.4", "a client must not push")
def _(suite):
    c = suite.connect()
    c.headers(1)
    c.frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02" + block_of(fields_of()))
    c.goaway(PROTOCOL_ERROR)


# ---- 6.7: PING ----


@case("6.7", "a PING is answered with its payload")
def _(suite):
    c = suite.connect()
    c.ping(b"\0\xffabcdef")
    c.until(lambda got: got.kind == PING and got.flags == ACK and got.payload == b"\0\xffabcdef", "the answer")


@case("6.7", "the answer to a PING is not answered")
def _(suite):
    c = suite.connect()
    c.frame(PING, ACK, 0, b"answered")
    c.alive()
    if any(got.kind == PING and got.payload == b"answered" for got in c.seen):
        raise Failure("it was answered")


@case("6.7", "PING of a stream")
def _(suite):
    c = suite.connect()
    c.frame(PING, 0, 1, b"12345678")
    c.goaway(PROTOCOL_ERROR)


@case("6.7", "PING of a wrong length")
def _(suite):
    c = suite.connect()
    c.frame(PING, 0, 0, b"123456")
    c.goaway(FRAME_SIZE_ERROR)


# ---- 6.8: GOAWAY ----


@case("6.8", "GOAWAY of a stream")
def _(suite):
    c = suite.connect()
    c.frame(GOAWAY, 0, 1, b"\0" * 8)
    c.goaway(PROTOCOL_ERROR)


@case("6.8", "GOAWAY that is cut off")
def _(suite):
    c = suite.connect()
    c.frame(GOAWAY, 0, 0, b"\0" * 7)
    c.goaway(FRAME_SIZE_ERROR)


@case("6.8", "requests in progress are served behind the client's GOAWAY, then the connection is closed")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.frame(GOAWAY, 0, 0, b"\0" * 8 + b"bye")
    c.data(1, b"x", end=True)
    c.response(1)
    while c.next_frame():
        pass


# ---- 6.9: WINDOW_UPDATE and flow control ----


@case("6.9", "an increment of 0 on the connection")
def _(suite):
    c = suite.connect()
    c.window(0, 0)
    c.goaway(PROTOCOL_ERROR)


@case("6.9", "an increment of 0 on a stream")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 0))
    c.headers(1)
    c.window(1, 0)
    c.stream_error(1, PROTOCOL_ERROR)


@case("6.9", "WINDOW_UPDATE of a wrong length")
def _(suite):
    c = suite.connect()
    c.frame(WINDOW_UPDATE, 0, 0, b"\0\0\x01")
    c.goaway(FRAME_SIZE_ERROR)


@case("6.9.1", "the window of the connection exceeds 2^31 - 1")
def _(suite):
    c = suite.connect()
    c.window(0, 2**31 - 1)
    c.goaway(FLOW_CONTROL_ERROR)


@case("6.9.1", "the window of a stream exceeds 2^31 - 1")
def _(suite):
    c = suite.connect()
    c.consumes = False
    c.headers(1, fields_of(path=suite.large))
    c.window(1, 2**31 - 1)
    c.window(1, 2**31 - 1)
    c.stream_error(1, FLOW_CONTROL_ERROR)


@case("6.9.1", "the server sends no more than the window of the stream")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 1))
    c.headers(1)
    for _ in range(3):
        got = c.until(lambda got: got.kind == DATA, "DATA")
        if len(got.payload) != 1:
            raise Failure(f"{got} with a window of 1")
        c.alive()
        c.window(1, 1)


@case("6.9.1", "the server sends no more than the window of the connection")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 1 << 20))
    c.consumes = False
    c.headers(1, fields_of(path=suite.large))
    got = 0
    while got < 65535:
        got += len(c.until(lambda got: got.kind == DATA, "DATA").payload)
    c.alive()
    if sum(len(frame.payload) for frame in c.seen if frame.kind == DATA) != 65535:
        raise Failure(f"{got} bytes with a window of 65535")
    c.window(0, 1 << 20)
    c.response(1)


@case("6.9.2", "SETTINGS change the windows of open streams")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 0))
    c.headers(1)
    c.alive()
    if any(got.kind == DATA for got in c.seen):
        raise Failure("DATA without a window")
    c.frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 1))
    got = c.until(lambda got: got.kind == DATA, "DATA")
    if len(got.payload) != 1:
        raise Failure(f"{got} with a window of 1")


@case("6.9.2", "a window that becomes negative")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 3))
    c.headers(1)
    c.until(lambda got: got.kind == DATA and len(got.payload) == 3, "3 bytes")
    c.frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 2))  # it is -1 now
    c.window(1, 2)
    got = c.until(lambda got: got.kind == DATA, "DATA")
    if len(got.payload) != 1:
        raise Failure(f"{got} with a window of 1")


@case("6.9.2", "SETTINGS make the window of a stream exceed 2^31 - 1")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 0))
    c.consumes = False
    c.headers(1, fields_of(path=suite.large))
    c.window(1, 2**31 - 1)
    c.frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 2**31 - 1))
    # A connection error by the RFC; nghttp2 resets the streams.
    c.stream_error(1, FLOW_CONTROL_ERROR)


@case("6.9.1", "more DATA than the window of a stream permits", has_websockets)
def _(suite):
    # A WebSocket that takes no echoes is not read in the end.
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 0))
    socket = WebSocket(c, 1)
    message = bytes(100_000)
    for _ in range(400):
        socket.send(message, BINARY)
        while select.select([c.socket], [], [], 0)[0]:
            got = c.next_frame()
            if not got or got.kind == GOAWAY or got.kind == RST_STREAM and got.stream == 1:
                break
        else:
            continue
        break
    ends = [got for got in c.seen if got.kind in (GOAWAY, RST_STREAM)]
    if not ends:
        c.stream_error(1, FLOW_CONTROL_ERROR)
    elif ends[0].code != FLOW_CONTROL_ERROR:
        raise Failure(f"{ends[0]} instead of code {FLOW_CONTROL_ERROR}")


@case("6.9.1", "padding counts, and its window is returned", is_whole)
def _(suite):
    c = suite.connect()
    c.post(1)
    for _ in range(140):
        c.data_within_windows(1, b"\xff" + b"x" * 1000 + b"\0" * 255, PADDED)
    c.data(1, end=True)
    c.response(1)


@case("6.9.1", "a body of many windows", is_whole)
def _(suite):
    c = suite.connect()
    c.post(1)
    for _ in range(120):
        c.data_within_windows(1, b"x" * 16384)
    c.data(1, end=True)
    c.response(1)


@case("6.9", "DATA of streams that were reset returns the window of the connection")
def _(suite):
    c = suite.connect()
    for stream in range(1, 41, 2):
        c.post(stream)
        c.reset(stream)
        for _ in range(4):
            c.data_within_windows(stream, b"x" * 16000, of_connection_only=True)
    c.alive()


# ---- 6.10: CONTINUATION ----


@case("6.10", "several CONTINUATION frames, some of them empty")
def _(suite):
    c = suite.connect()
    block = block_of(fields_of())
    c.frame(HEADERS, END_STREAM, 1, b"")
    c.frame(CONTINUATION, 0, 1, block[:20])
    c.frame(CONTINUATION, 0, 1, b"")
    c.frame(CONTINUATION, END_HEADERS, 1, block[20:])
    c.response(1)


@case("6.10", "CONTINUATION of stream 0")
def _(suite):
    c = suite.connect()
    c.frame(HEADERS, END_STREAM, 1, block_of(fields_of()))
    c.frame(CONTINUATION, END_HEADERS, 0, b"")
    c.goaway(PROTOCOL_ERROR)


@case("6.10", "CONTINUATION behind the end of a field block")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 0))
    c.post(1)
    c.frame(CONTINUATION, END_HEADERS, 1, literal("x-a", "b"))
    c.goaway(PROTOCOL_ERROR)


@case("6.10", "CONTINUATION behind DATA")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 0))
    c.post(1)
    c.data(1, b"x")
    c.frame(CONTINUATION, END_HEADERS, 1, literal("x-a", "b"))
    c.goaway(PROTOCOL_ERROR)


# ---- 7: error codes ----


@case("7", "unknown error codes have no special effect")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.reset(1, 0xFF)
    c.alive()
    c.frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\xff")
    while c.next_frame():
        pass
