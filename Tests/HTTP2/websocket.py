"""A WebSocket on a stream of HTTP/2 (RFC 8441), also with compressed messages (RFC 7692)."""

import os
import struct
import zlib

from client import DATA, HEADERS, RST_STREAM, Failure, fields_of

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
DEFLATE = ("sec-websocket-extensions", "permessage-deflate")


def masked(data, mask):
    repeated = (mask * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(data), "big")


class WebSocket:
    """Opens a WebSocket by extended CONNECT and waits for the answer, whose fields are in `answer`."""

    def __init__(self, client, stream, path="/", more=()):
        self.client, self.stream = client, stream
        self.input, self.has_ended, self.looked_at = b"", False, len(client.seen)
        method, *others = fields_of("CONNECT", path, [("sec-websocket-version", "13"), *more])
        client.headers(stream, [method, (":protocol", "websocket"), *others], end=False)
        got = client.until(lambda got: got.stream == stream and got.kind in (HEADERS, RST_STREAM), "an answer")
        if got.kind == RST_STREAM or dict(got.fields)[":status"] != "200":
            raise Failure(f"{got} in place of a WebSocket: {got.fields}")
        self.answer = dict(got.fields)
        self.compresses = self.answer.get("sec-websocket-extensions", "").startswith("permessage-deflate")
        self.deflater, self.inflater = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
        self.compressed_received = 0

    def agreed(self, parameter):
        return parameter in self.answer["sec-websocket-extensions"]

    def send(self, data, opcode=TEXT, end=False):
        """Sends a message, compressed if that was agreed."""
        first = 0x80 | opcode
        if self.compresses and opcode < CLOSE:
            first |= 0x40
            if self.agreed("client_no_context_takeover"):
                self.deflater = zlib.compressobj(wbits=-15)
            data = (self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        mask, length = os.urandom(4), len(data)
        head = struct.pack(">BB", first, 0x80 | length) if length < 126 else \
            struct.pack(">BBH", first, 0xFE, length) if length < 65536 else struct.pack(">BBQ", first, 0xFF, length)
        frame = head + mask + masked(data, mask)
        for at in range(0, len(frame), 16384):
            self.client.data(self.stream, frame[at:at + 16384], end and at + 16384 >= len(frame))

    def next_frame(self):
        """The next frame of this stream, also one that was received while others were awaited."""
        while True:
            for got in self.client.seen[self.looked_at:]:
                self.looked_at += 1
                if got.stream == self.stream and got.kind in (DATA, RST_STREAM):
                    return got
            self.client.until(lambda _: True, f"a message of stream {self.stream}")

    def exactly(self, count):
        while len(self.input) < count:
            if self.has_ended:
                raise Failure(f"stream {self.stream} has ended")
            got = self.next_frame()
            if got.kind == RST_STREAM:
                raise Failure(f"{got} in place of a message")
            self.input += got.payload
            if got.payload and not got.ends:
                self.client.window(self.stream, len(got.payload))
            self.has_ended = got.ends
        data, self.input = self.input[:count], self.input[count:]
        return data

    def receive(self):
        """The opcode and the payload of the next frame; the server sends messages in one."""
        first, length = self.exactly(2)
        if length == 126:
            length, = struct.unpack(">H", self.exactly(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.exactly(8))
        data = self.exactly(length)
        if first & 0x40:
            self.compressed_received += 1
            if self.agreed("server_no_context_takeover"):
                self.inflater = zlib.decompressobj(wbits=-15)
            data = self.inflater.decompress(data + b"\0\0\xff\xff")
        return first & 15, data

    def echo(self, data, opcode=TEXT):
        self.send(data, opcode)
        got = self.receive()
        if got != (opcode, data):
            raise Failure(f"{got[0]}, {got[1][:100]!r} in place of the echo of {data[:100]!r}")

    def close(self, code=1000):
        """The closing handshake, and the end of the stream."""
        self.send(struct.pack(">H", code), CLOSE)
        got = self.receive()
        if got != (CLOSE, struct.pack(">H", code)):
            raise Failure(f"{got} in place of a close with {code}")
        while not self.has_ended:
            got = self.next_frame()
            self.has_ended = got.ends or got.kind == RST_STREAM
