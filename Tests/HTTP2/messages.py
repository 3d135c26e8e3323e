"""RFC 9113 section 8, RFC 9218, and the errors of RFC 7541."""

import struct

from client import (COMPRESSION_ERROR, DATA, END_HEADERS, END_STREAM, FRAME_SIZE_ERROR, HEADER_TABLE_SIZE, HEADERS,
                    INITIAL_WINDOW_SIZE, NO_ERROR, PRIORITY_UPDATE, PROTOCOL_ERROR, Failure, block_of, fields_of,
                    integer, literal, setting)
from suite import case, is_whole

METHOD, SCHEME, AUTHORITY, PATH = fields_of()

# ---- 8.1: requests ----


@case("8.1", "a request with a body, and trailers")
def _(suite):
    c = suite.connect()
    c.post(1, [("trailer", "x-sum")])
    c.data(1, b"abc")
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, literal("x-sum", "1"))
    c.response(1)


@case("8.1", "trailers without END_STREAM")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.frame(HEADERS, END_HEADERS, 1, literal("x-sum", "1"))
    c.stream_error(1, PROTOCOL_ERROR)


@case("8.1", "pseudo fields in trailers")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.data(1, b"abc")
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, literal(":method", "POST"))
    c.malformed(1)


@case("8.1", "a response to HEAD has no body")
def _(suite):
    c = suite.connect()
    c.headers(1, fields_of("HEAD"))
    _, _, body = c.response(1)
    if body:
        raise Failure(f"{len(body)} bytes")


@case("8.1", "responses may overtake each other, and come on their streams")
def _(suite):
    c = suite.connect()
    c.post(1)
    for stream in (3, 5, 7):
        c.headers(stream)
        c.response(stream)
    c.data(1, b"x", end=True)
    c.response(1)


for title, length, pieces in [("less", 5, [b"abc"]), ("more", 2, [b"abc"]), ("more, in pieces", 4, [b"abc", b"def"]),
                              ("no body", 1, [])]:

    @case("8.1.1", f"{title} than Content-Length")
    def _(suite, length=length, pieces=pieces):
        c = suite.connect()
        if pieces:
            c.post(1, [("content-length", str(length))])
        else:
            c.headers(1, fields_of("POST", more=[("content-length", str(length))]))
        for index, piece in enumerate(pieces):
            c.data(1, piece, end=index == len(pieces) - 1)
        c.malformed(1)


for value in ["-1", "abc", "1 1", "99999999999999999999"]:

    @case("8.1.1", f"Content-Length: {value}")
    def _(suite, value=value):
        c = suite.connect()
        c.post(1, [("content-length", value)])
        c.malformed(1)


@case("8.1.1", "two Content-Length fields")
def _(suite):
    c = suite.connect()
    c.post(1, [("content-length", "1"), ("content-length", "2")])
    c.malformed(1)


@case("8.1.1", "DATA that is padded does not count its padding")
def _(suite):
    c = suite.connect()
    c.post(1, [("content-length", "3")])
    c.frame(0, 8 | END_STREAM, 1, b"\x04abc" + b"\0" * 4)
    c.response(1)


@case("8.1, RFC 9110 10.1.1", "a client that expects 100 gets it before the final status", is_whole)
def _(suite):
    c = suite.connect()
    c.post(1, [("expect", "100-continue"), ("content-length", "3")])
    got = c.until(lambda got: got.kind == HEADERS and got.stream == 1, "an interim response")
    if dict(got.fields)[":status"] != "100" or got.ends:
        raise Failure(f"{got} instead of status 100")
    c.data(1, b"abc", end=True)
    c.response(1)


@case("8.1, RFC 9110 15.5.14", "a body that is announced as too large is refused, and the connection stays", is_whole)
def _(suite):
    c = suite.connect()
    c.post(1, [("content-length", str(1 << 40))])
    c.response(1, 413)
    c.stream_error(1, NO_ERROR)  # of which the client learns that it need not send the body
    c.headers(3)
    c.response(3)


# ---- 8.2: fields ----

for title, field in [
    ("an upper-case name", ("X-Upper", "a")),
    ("one upper-case letter", ("x-uppeR", "a")),
    ("a name with a space", ("x a", "b")),
    ("a name with a colon", ("x:a", "b")),
    ("a name with a control character", ("x\x01", "b")),
    ("a name that is not ASCII", ("x\xe4", "b")),
    ("an empty name", ("", "b")),
    ("a value with NUL", ("x-a", "b\0c")),
    ("a value with LF", ("x-a", "b\nc: d")),
    ("a value with CR", ("x-a", "b\rc")),
    ("Connection", ("connection", "close")),
    ("Keep-Alive", ("keep-alive", "timeout=5")),
    ("Proxy-Connection", ("proxy-connection", "keep-alive")),
    ("Transfer-Encoding", ("transfer-encoding", "chunked")),
    ("Upgrade", ("upgrade", "h2c")),
    ("TE with more than \"trailers\"", ("te", "trailers, deflate")),
]:

    @case("8.2", title)
    def _(suite, field=field):
        c = suite.connect()
        c.headers(1, fields_of(more=[field]))
        c.malformed(1)


@case("8.2.1", "white space around a value")
def _(suite):
    for value in (" a", "a ", "\ta"):
        c = suite.connect()
        c.headers(1, fields_of(more=[("x-a", value)]))
        c.answered_or_error(1, PROTOCOL_ERROR)


@case("8.2.2", "TE: trailers")
def _(suite):
    c = suite.connect()
    c.headers(1, fields_of(more=[("te", "trailers")]))
    c.response(1)


@case("8.2.3", "cookies in several fields")
def _(suite):
    c = suite.connect()
    c.headers(1, fields_of(more=[("cookie", "a=1"), ("x-a", "b"), ("cookie", "b=2")]))
    c.response(1)


@case("8.2", "fields of a connection among the trailers")
def _(suite):
    c = suite.connect()
    c.post(1)
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, literal("connection", "close"))
    c.malformed(1)


# ---- 8.3: pseudo fields ----

for title, fields in [
    ("an unknown pseudo field", fields_of(more=[])[:4] + [(":unknown", "x")]),
    ("a pseudo field of responses", fields_of()[:4] + [(":status", "200")]),
    ("a pseudo field behind others", [METHOD, SCHEME, ("x-a", "b"), AUTHORITY, PATH]),
    ("no :method", [SCHEME, AUTHORITY, PATH]),
    ("no :scheme", [METHOD, AUTHORITY, PATH]),
    ("no :path", [METHOD, SCHEME, AUTHORITY]),
    ("no pseudo field at all", [("x-a", "b")]),
    ("an empty :path", [METHOD, SCHEME, AUTHORITY, (":path", "")]),
    ("a :path that does not start with a slash", [METHOD, SCHEME, AUTHORITY, (":path", "index")]),
    ("a :path of * with GET", [METHOD, SCHEME, AUTHORITY, (":path", "*")]),
    ("two :method fields", [METHOD, METHOD, SCHEME, AUTHORITY, PATH]),
    ("two :scheme fields", [METHOD, SCHEME, SCHEME, AUTHORITY, PATH]),
    ("two :path fields", [METHOD, SCHEME, AUTHORITY, PATH, PATH]),
    ("two :authority fields", [METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH]),
    ("neither :authority nor Host", [METHOD, SCHEME, PATH]),
    ("Host differs from :authority", [METHOD, SCHEME, AUTHORITY, PATH, ("host", "other")]),
    ("user information in :authority", [METHOD, SCHEME, (":authority", "user:secret@localhost"), PATH]),
    ("an empty :method", [(":method", ""), SCHEME, AUTHORITY, PATH]),
    ("a :method with a space", [(":method", "G ET"), SCHEME, AUTHORITY, PATH]),
    ("a :path with a space", [METHOD, SCHEME, AUTHORITY, (":path", "/a b")]),
    ("a :path with a line break", [METHOD, SCHEME, AUTHORITY, (":path", "/ HTTP/1.1\r\nx: y")]),
    ("an :authority with a line break", [METHOD, SCHEME, (":authority", "a\r\nx: y"), PATH]),
]:

    @case("8.3", title)
    def _(suite, fields=fields):
        c = suite.connect()
        c.headers(1, fields)
        c.malformed(1)


for title, fields in [
    ("Host in place of :authority", [METHOD, SCHEME, PATH, ("host", "localhost")]),
    ("Host that repeats :authority", [METHOD, SCHEME, AUTHORITY, PATH, ("host", "localhost")]),
    ("pseudo fields in any order", [PATH, AUTHORITY, METHOD, SCHEME]),
    ("a path with a query", [METHOD, SCHEME, AUTHORITY, (":path", "/?a=b")]),
]:

    @case("8.3.1", title)
    def _(suite, fields=fields):
        c = suite.connect()
        c.headers(1, fields)
        c.response(1)


@case("8.3.1", "OPTIONS *")
def _(suite):
    c = suite.connect()
    c.headers(1, [(":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*")])
    c.response(1, (200, 204, 404, 405, 501))


@case("8.3.2", "a response has :status and nothing of a connection")
def _(suite):
    c = suite.connect()
    c.headers(1)
    _, fields, _ = c.response(1)
    names = [name for name, _ in fields]
    if names[0] != ":status" or [name for name in names if name.startswith(":")] != [":status"]:
        raise Failure(f"pseudo fields: {names}")
    wrong = {"connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"} & set(names)
    if wrong or any(name != name.lower() for name in names):
        raise Failure(f"{names}")


# ---- 8.5: CONNECT ----

CONNECT = (":method", "CONNECT")


@case("8.5", "CONNECT is refused by a server that is no proxy")
def _(suite):
    c = suite.connect()
    c.headers(1, [CONNECT, (":authority", "localhost:80")], end=False)
    c.response(1, (400, 404, 405, 501))


for title, fields in [("CONNECT with :path and :scheme", [CONNECT, SCHEME, AUTHORITY, PATH]),
                      ("CONNECT without :authority", [CONNECT])]:

    @case("8.5", title)
    def _(suite, fields=fields):
        c = suite.connect()
        c.headers(1, fields, end=False)
        c.malformed(1)


# ---- RFC 9218: priorities ----


@case("RFC 9218 4", "the priority field, also an invalid one")
def _(suite):
    c = suite.connect()
    for index, value in enumerate(["u=1", "u=7, i", "i=?0", "u=9", "u=-1", "?", "a;b=c", "u=1;i, x=" + "y" * 100]):
        c.headers(2 * index + 1, more=[("priority", value)])
        c.response(2 * index + 1)


@case("RFC 9218 7.1", "PRIORITY_UPDATE of idle, open and closed streams")
def _(suite):
    c = suite.connect()
    c.frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + b"u=1, i")
    c.post(1)
    c.frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + b"u=9;")
    c.data(1, b"x", end=True)
    c.response(1)
    c.frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + b"u=0")
    c.alive()


for title, stream, payload, code in [("of a stream", 1, struct.pack(">I", 1) + b"u=1", PROTOCOL_ERROR),
                                     ("about stream 0", 0, struct.pack(">I", 0) + b"u=1", PROTOCOL_ERROR),
                                     ("that is cut off", 0, b"\0\0\0", FRAME_SIZE_ERROR)]:

    @case("RFC 9218 7.1", f"PRIORITY_UPDATE {title}")
    def _(suite, stream=stream, payload=payload, code=code):
        c = suite.connect()
        c.frame(PRIORITY_UPDATE, 0, stream, payload)
        c.goaway(code)


for title, first, update in [("the priority field", "u=7", None), ("PRIORITY_UPDATE", "u=0", b"u=7")]:

    @case("RFC 9218 10", f"a more urgent response overtakes another one: {title}")
    def _(suite, first=first, update=update):
        c = suite.connect(setting(INITIAL_WINDOW_SIZE, 1 << 20))
        c.consumes = False
        c.headers(1, fields_of(path=suite.large, more=[("priority", first)]))
        if update:
            c.frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + update)
        while sum(len(got.payload) for got in c.seen if got.kind == DATA) < 65535:
            c.until(lambda got: got.kind == DATA, "DATA")
        c.headers(3, fields_of(path=suite.large, more=[("priority", "u=1")]))
        c.until(lambda got: got.kind == HEADERS and got.stream == 3, "a response")
        # In steps, as the second body may arrive from its worker in pieces.
        while not (ends := [got.stream for got in c.seen if got.ends]):
            c.window(0, 16384)
            c.alive()
        if ends != [3]:
            raise Failure(f"stream {ends[0]} has ended first")


# ---- RFC 7541: HPACK ----

HEAD = block_of(fields_of())

for section, title, block in [
    ("2.3.3", "an index beyond both tables", HEAD + integer(70, 7, 0x80)),
    ("2.3.3", "the index of a name beyond both tables", HEAD + integer(70, 6, 0x40) + b"\x01a"),
    ("4.2", "an update of the table size behind fields", HEAD + b"\x20"),
    ("4.2", "a table size above the limit", integer(4097, 5, 0x20) + HEAD),
    ("5.1", "an integer without an end", HEAD + b"\xff" + b"\x80" * 12),
    ("5.2", "padding of a Huffman code of more than 7 bits", HEAD + b"\x00\x85\xf2\xb2\x4a\x84\xff\x81\xff"),
    ("5.2", "padding of a Huffman code with zeros", HEAD + b"\x00\x84\xf2\xb2\x4a\x80\x81\xff"),
    ("5.2", "EOS within a Huffman code", HEAD + b"\x00\x88\xf2\xb2\x4a\xff\xff\xff\xff\x7f\x81\xff"),
    ("5.2", "a string longer than its block", HEAD + b"\x00" + integer(100, 7) + b"ab"),
    ("6.1", "index 0", HEAD + b"\x80"),
]:

    @case(f"RFC 7541 {section}", title)
    def _(suite, block=block):
        c = suite.connect()
        c.frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
        c.goaway(COMPRESSION_ERROR)


@case("RFC 7541 2.3.2", "the dynamic table lasts from one request to the next")
def _(suite):
    c = suite.connect()
    for stream in range(1, 21, 2):
        block = c.encoder.encode(fields_of(more=[("x-long", "value" * 10), (f"x-{stream}", "new")]))
        c.frame(HEADERS, END_HEADERS | END_STREAM, stream, block)
        c.response(stream)


@case("RFC 7541 2.3.2", "fields of a request that is reset change the table, too")
def _(suite):
    c = suite.connect()
    block = block_of(fields_of()) + literal("Wrong", "x") + literal("x-a", "b", 0x40)
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
    c.malformed(1)
    c.frame(HEADERS, END_HEADERS | END_STREAM, 3, block_of(fields_of()) + b"\xbe")  # x-a: b
    c.response(3)


@case("RFC 7541 4.2", "updates of the table size in front of fields")
def _(suite):
    c = suite.connect()
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x20" + integer(4096, 5, 0x20) + HEAD)
    c.response(1)


@case("RFC 7541 6.5.2", "a client without a table gets responses that need none")
def _(suite):
    c = suite.connect(setting(HEADER_TABLE_SIZE, 0))
    c.decoder.max_allowed_table_size = 0
    for stream in (1, 3):
        c.headers(stream)
        c.response(stream)


@case("RFC 7541 6.2", "all forms of literal fields")
def _(suite):
    c = suite.connect()
    block = HEAD + literal("x-a", "b", 0x40) + b"\xbe" + literal("x-c", "d", 0x10) + b"\x0f\x2f\x01e" + b"\x1f\x2f\x01f"
    c.frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
    c.response(1)
