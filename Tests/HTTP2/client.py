"""A client of HTTP/2 that writes frames byte by byte, valid or not, and states what must follow.

Nothing here waits for a duration: each expectation reads until it is met or cannot be any more, and only a server that
does nothing is left to the time limit.
"""

import socket
import struct

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 16
TYPES = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
         "CONTINUATION"]
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, \
    REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(12)
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE, \
    ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES = 1, 2, 3, 4, 5, 6, 8, 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

PATIENCE = 20


class Failure(Exception):
    pass


def integer(value, bits, first=0):
    """An integer of HPACK (RFC 7541 section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytes([first | most]), value - most
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def literal(name, value, first=0):
    """A literal field that is not indexed, as the bytes are, without Huffman coding."""
    name, value = bytes_of(name), bytes_of(value)
    return bytes([first]) + integer(len(name), 7) + name + integer(len(value), 7) + value


def bytes_of(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    length = len(payload) if length is None else length
    return struct.pack(">I", length)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def setting(identifier, value):
    return struct.pack(">HI", identifier, value)


def fields_of(method="GET", path="/", more=(), scheme="http", authority="localhost"):
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *more]


def block_of(fields):
    return b"".join(literal(name, value) for name, value in fields)


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload, self.fields = kind, flags, stream, payload, None

    @property
    def code(self):
        """Of RST_STREAM and GOAWAY."""
        at = 4 if self.kind == GOAWAY else 0
        return struct.unpack_from(">I", self.payload, at)[0]

    @property
    def ends(self):
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)

    def __repr__(self):
        name = TYPES[self.kind] if self.kind < len(TYPES) else f"type {self.kind}"
        what = f"code {self.code}" if self.kind in (RST_STREAM, GOAWAY) else \
            dict(self.fields or []).get(":status", "") if self.kind == HEADERS else f"{len(self.payload)} bytes"
        return f"{name} stream {self.stream} flags {self.flags} {what}"


class Client:
    """A connection. `settings` is the payload of the first SETTINGS; None: nothing is sent at all."""

    def __init__(self, port, settings=b"", settle=True):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input, self.seen, self.closed = b"", [], False
        self.decoder, self.encoder = hpack.Decoder(), hpack.Encoder()
        self.decoder.max_header_list_size = 1 << 20
        self.block, self.server_settings, self.pings = None, {}, 0
        self.consumes, self.max_frame_size = True, 16384
        self.send_window, self.stream_windows = 65535, {}  # what may be sent, as far as the server has opened it
        if settings is not None:
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings))
            if settle:
                self.settle()

    def close(self):
        self.socket.close()

    # ---- sending ----

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # the server may close while it is sent; what it has sent before decides

    def frame(self, kind, flags=0, stream=0, payload=b"", length=None):
        self.send(frame(kind, flags, stream, payload, length))

    def headers(self, stream, fields=None, end=True, more=()):
        """A request, fields as they are; the default is a GET of "/"."""
        flags = END_HEADERS | (END_STREAM if end else 0)
        self.frame(HEADERS, flags, stream, block_of(fields or fields_of(more=more)))

    def post(self, stream, more=(), path="/"):
        self.headers(stream, fields_of("POST", path, more), end=False)

    def data(self, stream, payload=b"", end=False):
        self.frame(DATA, END_STREAM if end else 0, stream, payload)

    def stream_window(self, stream):
        return self.stream_windows.get(stream, self.server_settings.get(INITIAL_WINDOW_SIZE, 65535))

    def data_within_windows(self, stream, payload, flags=0, of_connection_only=False):
        """Sends DATA as soon as the windows permit it; without them it waits for ever."""
        while self.send_window < len(payload) or \
                not of_connection_only and self.stream_window(stream) < len(payload):
            self.until(lambda got: got.kind == WINDOW_UPDATE, "a window")
        self.send_window -= len(payload)
        self.stream_windows[stream] = self.stream_window(stream) - len(payload)
        self.frame(DATA, flags, stream, payload)

    def window(self, stream, increment):
        self.frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))

    def reset(self, stream, code=CANCEL):
        self.frame(RST_STREAM, 0, stream, struct.pack(">I", code))

    def ping(self, payload=b"12345678"):
        self.frame(PING, 0, 0, payload)

    # ---- receiving ----

    def next_frame(self):
        """The next frame, None at the end of the connection."""
        self.socket.settimeout(PATIENCE)
        while True:
            if len(self.input) >= 9:
                length = int.from_bytes(self.input[:3], "big")
                if len(self.input) >= 9 + length:
                    kind, flags = self.input[3], self.input[4]
                    stream = int.from_bytes(self.input[5:9], "big") & 0x7FFFFFFF
                    got = Frame(kind, flags, stream, self.input[9:9 + length])
                    self.input = self.input[9 + length:]
                    self.examine(got)
                    self.seen.append(got)
                    return got
            try:
                piece = self.socket.recv(1 << 16)
            except TimeoutError:
                raise Failure(f"nothing for {PATIENCE} s; before: {self.seen[-6:]}") from None
            except OSError:
                piece = b""
            if not piece:
                self.closed = True
                return None
            self.input += piece

    def examine(self, got):
        """What a client must do of itself, and what no server may send."""
        if got.kind == PUSH_PROMISE or got.stream and not got.stream % 2:
            raise Failure(f"the server pushes: {got}")
        if len(got.payload) > self.max_frame_size:
            raise Failure(f"{got} with a limit of {self.max_frame_size} bytes")
        if got.kind == HEADERS and not got.flags & END_HEADERS:
            self.block = got
        elif got.kind == CONTINUATION and self.block:
            self.block.payload += got.payload
            if got.flags & END_HEADERS:
                self.block.fields = self.decoder.decode(self.block.payload)
        elif got.kind == HEADERS:
            got.fields = self.decoder.decode(got.payload)
        elif got.kind == SETTINGS and not got.flags & ACK:
            for at in range(0, len(got.payload), 6):
                identifier, value = struct.unpack_from(">HI", got.payload, at)
                self.server_settings[identifier] = value
            self.frame(SETTINGS, ACK)
        elif got.kind == DATA and self.consumes and got.payload:
            self.window(0, len(got.payload))
        elif got.kind == WINDOW_UPDATE:
            increment, = struct.unpack(">I", got.payload)
            if got.stream:
                self.stream_windows[got.stream] = self.stream_window(got.stream) + increment
            else:
                self.send_window += increment

    def until(self, accept, what):
        """The first frame that `accept` takes."""
        while got := self.next_frame():
            if accept(got):
                return got
            if got.kind == GOAWAY and got.code != NO_ERROR:
                raise Failure(f"{got} instead of {what}")
        raise Failure(f"the connection was closed instead of {what}; before: {self.seen[-6:]}")

    def settle(self):
        """Waits for SETTINGS of the server and its acknowledgement."""
        self.until(lambda got: got.kind == SETTINGS and not got.flags & ACK, "SETTINGS")
        self.until(lambda got: got.kind == SETTINGS and got.flags & ACK, "acknowledged SETTINGS")

    # ---- expectations ----

    def alive(self):
        """All before it was processed, and the connection continues."""
        self.pings += 1
        payload = struct.pack(">Q", self.pings)
        self.ping(payload)
        self.until(lambda got: got.kind == PING and got.flags & ACK and got.payload == payload, "the answer to a PING")

    def goaway(self, *codes):
        """The connection ends by GOAWAY with one of the codes, and is closed."""
        while got := self.next_frame():
            if got.kind == GOAWAY and (got.code != NO_ERROR or NO_ERROR in codes):
                if got.code not in codes:
                    raise Failure(f"{got} instead of one of the codes {codes}")
                while self.next_frame():
                    pass
                return got
        raise Failure(f"the connection was closed without GOAWAY; before: {self.seen[-6:]}")

    def stream_error(self, stream, *codes):
        """The stream is reset with one of the codes; RFC 9113 section 5.4.2 permits to end the connection instead."""
        while got := self.next_frame():
            if got.kind == RST_STREAM and got.stream == stream or got.kind == GOAWAY and got.code != NO_ERROR:
                if got.code not in codes:
                    raise Failure(f"{got} instead of one of the codes {codes}")
                return got
        raise Failure(f"the connection was closed instead of an error of stream {stream}; before: {self.seen[-6:]}")

    def malformed(self, stream):
        """A malformed request: a stream error, or status 400 (RFC 9113 section 8.1.1)."""
        while got := self.next_frame():
            if got.kind == HEADERS and got.stream == stream and dict(got.fields)[":status"] == "400":
                return got
            if got.kind == RST_STREAM and got.stream == stream or got.kind == GOAWAY:
                if got.code != PROTOCOL_ERROR:
                    raise Failure(f"{got} instead of code {PROTOCOL_ERROR}")
                return got
            # The response to a body in pieces may have begun.
            if got.stream == stream and got.ends:
                raise Failure(f"a malformed request was answered; before: {self.seen[-6:]}")
        raise Failure(f"the connection was closed; before: {self.seen[-6:]}")

    def alive_or_error(self, *codes):
        """A frame that may be ignored, or is an error with one of the codes."""
        self.pings += 1
        payload = struct.pack(">Q", self.pings)
        self.ping(payload)
        while got := self.next_frame():
            if got.kind == PING and got.flags & ACK and got.payload == payload:
                return
            if (got.kind == RST_STREAM or got.kind == GOAWAY and got.code != NO_ERROR) and got.code not in codes:
                raise Failure(f"{got} instead of one of the codes {codes}")
        if not any(got.kind == GOAWAY for got in self.seen):
            raise Failure(f"the connection was closed without GOAWAY; before: {self.seen[-6:]}")

    def answered_or_error(self, stream, *codes):
        """A request that may be served, or is an error with one of the codes."""
        while got := self.next_frame():
            if got.kind == RST_STREAM and got.stream == stream or got.kind == GOAWAY and got.code != NO_ERROR:
                if got.code not in codes:
                    raise Failure(f"{got} instead of one of the codes {codes}")
                return
            if got.stream == stream and got.ends:
                return
        raise Failure(f"the connection was closed; before: {self.seen[-6:]}")

    def refused(self):
        """The connection is closed, whatever was sent before: frames, or an answer of HTTP/1."""
        self.socket.settimeout(PATIENCE)
        try:
            while self.socket.recv(1 << 16):
                pass
        except TimeoutError:
            raise Failure(f"the connection was not closed for {PATIENCE} s") from None
        except OSError:
            pass

    @staticmethod
    def is_part(got, stream):
        return got.stream == stream and got.kind in (HEADERS, DATA, RST_STREAM)

    def response(self, stream, status=None):
        """The whole response: status, fields and body."""
        head, body, before = None, b"", [got for got in self.seen if self.is_part(got, stream)]
        while True:
            got = before.pop(0) if before else self.until(lambda got: self.is_part(got, stream),
                                                          f"a response on stream {stream}")
            if got.kind == RST_STREAM:
                raise Failure(f"{got} instead of a response")
            if got.kind == DATA:
                body += got.payload
            elif head is None and not dict(got.fields).get(":status", "").startswith("1"):
                head = got.fields
            if got.ends:
                break
        found = int(dict(head)[":status"])
        if found not in (status if isinstance(status, tuple) else (status or 200,)):
            raise Failure(f"status {found} instead of {status or 200}")
        return found, head, body
