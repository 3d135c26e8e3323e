"""Clients that misuse HTTP/2: each is refused with the stated code, while another client stays served."""

import select
import struct

from client import (CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE,
                    MAX_FRAME_SIZE, PING, PRIORITY, PRIORITY_UPDATE, PROTOCOL_ERROR, RST_STREAM, SETTINGS, WINDOW_UPDATE, Failure, block_of,
                    fields_of, frame, integer, literal, setting)
from suite import case

HEAD = block_of(fields_of())


def get(stream):
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, HEAD)


def flood(suite, units, *codes, settings=b"", before=b""):
    """Sends the units until the server has had enough. A bystander asks all the time."""
    bystander, attacker = suite.connect(), suite.connect(settings)
    attacker.consumes = False
    attacker.send(before)
    stream = 1
    for chunk in units:
        attacker.send(chunk)
        bystander.headers(stream)
        bystander.response(stream)
        stream += 2
        while select.select([attacker.socket], [], [], 0)[0]:
            got = attacker.next_frame()
            if not got or got.kind == GOAWAY:
                break
        if attacker.closed or attacker.seen and attacker.seen[-1].kind == GOAWAY:
            break
    if not any(got.kind == GOAWAY for got in attacker.seen):
        attacker.goaway(*codes)
    code = next(got.code for got in attacker.seen if got.kind == GOAWAY)
    if code not in codes:
        raise Failure(f"GOAWAY with code {code} instead of {codes}")
    bystander.headers(stream)
    bystander.response(stream)


def chunks(unit, count=40, size=100):
    return (unit * size for _ in range(count))


def streams(make, count=40, size=50):
    """`make` of ever new stream identifiers."""
    for chunk in range(count):
        yield b"".join(make(2 * (chunk * size + index) + 1) for index in range(size))


@case("abuse", "rapid reset: requests that are reset at once")
def _(suite):
    flood(suite, streams(lambda stream: get(stream) + frame(RST_STREAM, 0, stream, b"\0\0\0\x08")), ENHANCE_YOUR_CALM)


@case("abuse", "requests whose errors make the server reset them")
def _(suite):
    wrong = HEAD + literal("X-Upper", "a")
    flood(suite, streams(lambda stream: frame(HEADERS, END_HEADERS | END_STREAM, stream, wrong)), ENHANCE_YOUR_CALM)


@case("abuse", "requests that are made invalid by WINDOW_UPDATE (MadeYouReset)")
def _(suite):
    flood(suite, streams(lambda stream: frame(HEADERS, END_HEADERS, stream, block_of(fields_of("POST"))) +
                         frame(WINDOW_UPDATE, 0, stream, b"\0\0\0\0")), ENHANCE_YOUR_CALM, PROTOCOL_ERROR)


@case("abuse", "CONTINUATION frames without an end")
def _(suite):
    flood(suite, chunks(frame(CONTINUATION, 0, 1, literal("x-a", "b"))), ENHANCE_YOUR_CALM,
          before=frame(HEADERS, END_STREAM, 1, HEAD))


@case("abuse", "empty CONTINUATION frames without an end")
def _(suite):
    flood(suite, chunks(frame(CONTINUATION, 0, 1)), ENHANCE_YOUR_CALM, before=frame(HEADERS, END_STREAM, 1, HEAD))


@case("abuse", "HPACK bomb: a large field of the table, referred to by many bytes")
def _(suite):
    block = HEAD + literal("x-bomb", "x" * 4000, 0x40) + b"\xbe" * 10000
    flood(suite, [frame(HEADERS, END_HEADERS | END_STREAM, 1, block)], ENHANCE_YOUR_CALM)


@case("abuse", "HPACK: many references to small fields")
def _(suite):
    c = suite.connect()
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, HEAD + literal("x-a", "b", 0x40) + b"\xbe" * 5000)
    c.response(1, 431)
    c.headers(3)
    c.response(3)


@case("abuse", "a header list that is too large")
def _(suite):
    c = suite.connect()
    block = HEAD + b"".join(literal("x-long", "x" * 15000) for _ in range(6))
    pieces = [block[at:at + 16384] for at in range(0, len(block), 16384)]
    c.frame(HEADERS, END_STREAM, 1, pieces[0])
    for index, piece in enumerate(pieces[1:]):
        c.frame(CONTINUATION, END_HEADERS if index == len(pieces) - 2 else 0, 1, piece)
    c.response(1, 431)
    c.headers(3)
    c.response(3)


@case("abuse", "SETTINGS")
def _(suite):
    flood(suite, chunks(frame(SETTINGS, 0, 0, setting(MAX_FRAME_SIZE, 16384))), ENHANCE_YOUR_CALM)


@case("abuse", "PING")
def _(suite):
    flood(suite, chunks(frame(PING, 0, 0, b"12345678")), ENHANCE_YOUR_CALM)


@case("abuse", "answers to PING that were not asked for")
def _(suite):
    flood(suite, chunks(frame(PING, 1, 0, b"12345678")), ENHANCE_YOUR_CALM)


@case("abuse", "WINDOW_UPDATE")
def _(suite):
    flood(suite, chunks(frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01")), ENHANCE_YOUR_CALM)


@case("abuse", "PRIORITY of idle streams")
def _(suite):
    flood(suite, streams(lambda stream: frame(PRIORITY, 0, stream, b"\0\0\0\0\x10")), ENHANCE_YOUR_CALM)


@case("abuse", "PRIORITY_UPDATE")
def _(suite):
    flood(suite, chunks(frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + b"u=1")), ENHANCE_YOUR_CALM)


@case("abuse", "PRIORITY_UPDATE of more idle streams than there may be (RFC 9218 7.1)")
def _(suite):
    flood(suite, streams(lambda stream: frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", stream) + b"u=1")),
          ENHANCE_YOUR_CALM, PROTOCOL_ERROR)


@case("abuse", "frames of unknown types")
def _(suite):
    flood(suite, chunks(frame(0xF0, 0, 0, b"x")), ENHANCE_YOUR_CALM)


@case("abuse", "empty DATA frames")
def _(suite):
    flood(suite, chunks(frame(DATA, 0, 1)), ENHANCE_YOUR_CALM,
          before=frame(HEADERS, END_HEADERS, 1, block_of(fields_of("POST"))))


@case("abuse", "DATA frames of padding only")
def _(suite):
    flood(suite, chunks(frame(DATA, 8, 1, b"\x03\0\0\0")), ENHANCE_YOUR_CALM,
          before=frame(HEADERS, END_HEADERS, 1, block_of(fields_of("POST"))))


@case("abuse", "windows that stay closed: responses wait, and nobody else")
def _(suite):
    bystander, attacker = suite.connect(), suite.connect(setting(INITIAL_WINDOW_SIZE, 0))
    for stream in range(1, 41, 2):
        attacker.headers(stream, fields_of(path=suite.large))
    attacker.alive()
    for stream in range(1, 21, 2):
        bystander.headers(stream)
        bystander.response(stream)
    attacker.reset(1)
    attacker.alive()


@case("abuse", "a window of one byte: other responses of the connection are sent")
def _(suite):
    c = suite.connect(setting(INITIAL_WINDOW_SIZE, 1))
    c.headers(1, fields_of(path=suite.large))
    c.until(lambda got: got.kind == DATA and got.stream == 1, "DATA")
    for stream in range(3, 13, 2):
        c.frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 1))
        c.headers(stream)
        c.window(stream, 100)
        c.response(stream)
