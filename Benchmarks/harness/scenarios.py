"""What is measured: for each subject a list of scenarios."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    key: str  # for --only
    title: str
    arguments: tuple  # of wsload; for another tool the path
    unit: str = "message"
    tool: str = "wsload"
    servers: str = ""  # regular expression on the names of those that can do it


def _ws(key, title, size, in_flight, conns):
    title = f"WebSocket echo: {title}, {in_flight} in flight, {conns} connections"
    return Scenario(key, title, ("-s", size, "-P", in_flight, "-c", conns))


# The last one is what the usual limit of 20,000 descriptors leaves room for.
CONNECTIONS = (10, 100, 1000, 5000, 10000, 15000)


def _connections(conns):
    title = f"WebSocket echo: 64 B, 1 in flight, {conns:,} connections"
    return Scenario(f"64B-x1-{conns}", title, ("-s", 64, "-P", 1, "-c", conns))


def _http(key, in_flight):
    title = f"HTTP hello, keep-alive: {in_flight} in flight, 50 connections"
    return Scenario(key, title, ("--http", "-u", "/hello", "-P", in_flight, "-c", 50), "request")


# Connections that wrk and h2load keep open.
TOOL_CONNECTIONS = 50
HTTP2_CONNECTIONS, HTTP2_STREAMS = 10, 32
ROUTED = "^(Swift .*, routed|nginx|uWebSockets|Swoole)"
FILES = "^(Swift .*, routed|nginx)"  # uWebSockets sends no files by itself


def _tool(tool, key, title, path, servers=""):
    title = f"HTTP {title}: {tool}, {TOOL_CONNECTIONS} connections"
    return Scenario(f"{key}-{tool}", title, (path,), "request", tool, servers)


def _broadcast(key, in_flight):
    title = f"Broadcast of 64 B to 200 subscribers, {in_flight} in flight"
    arguments = ("--broadcast", "-u", "/broadcast", "-s", 64, "-P", in_flight, "-c", 200)
    return Scenario(key, title, arguments, "delivery")


def _tcp(key, title, size, in_flight, conns):
    title = f"TCP echo: {title}, {in_flight} in flight, {conns} connections"
    return Scenario(key, title, ("--tcp", "-s", size, "-P", in_flight, "-c", conns))


def _wire(key, title, option, size, in_flight):
    title = f"WebSocket echo, {title}, {in_flight} in flight, 50 connections"
    return Scenario(key, title, (option, "-s", size, "-P", in_flight, "-c", 50), tool="wireload")


def scenarios(subject, conns):
    """The scenarios of a subject; conns is the number of idle connections."""
    if subject == "ws":
        return [
            _ws("64B-x1", "64 B", 64, 1, 50),
            _ws("64B-x16", "64 B", 64, 16, 50),
            _ws("1KiB-x16", "1 KiB", 1024, 16, 50),
            _ws("16KiB-x1", "16 KiB", 16 << 10, 1, 50),
            _ws("1MiB-x1", "1 MiB", 1 << 20, 1, 10),
        ]
    if subject == "connections":
        return [_connections(number) for number in CONNECTIONS]
    if subject == "http":
        return [
            _http("hello-x1", 1),
            _http("hello-x16", 16),
            _tool("wrk", "hello", "hello", "/hello"),
            _tool("h2load", "hello", "hello", "/hello"),
            _tool("wrk", "json", "route with a parameter, JSON", "/users/42", ROUTED),
            _tool("h2load", "json", "route with a parameter, JSON", "/users/42", ROUTED),
            _tool("wrk", "file-4KiB", "file of 4 KiB", "/files/4KiB.bin", FILES),
            _tool("h2load", "file-4KiB", "file of 4 KiB", "/files/4KiB.bin", FILES),
            _tool("wrk", "file-1MiB", "file of 1 MiB", "/files/1MiB.bin", FILES),
            _tool("h2load", "file-1MiB", "file of 1 MiB", "/files/1MiB.bin", FILES),
        ]
    if subject == "http2":
        title = f"HTTP/2 hello: h2load, {HTTP2_CONNECTIONS} connections, {HTTP2_STREAMS} streams on each"
        return [Scenario("hello-h2load", title, ("/hello",), "request", "h2load-http2")]
    if subject == "broadcast":
        return [_broadcast("broadcast-x1", 1), _broadcast("broadcast-x16", 16)]
    if subject == "tcp":
        return [
            _tcp("tcp-x1", "64 B", 64, 1, 50),
            _tcp("tcp-x16", "64 B", 64, 16, 50),
            _tcp("tcp-16KiB", "16 KiB", 16 << 10, 1, 50),
            _tcp("tcp-1MiB", "1 MiB", 1 << 20, 1, 10),
        ]
    if subject == "tls":
        return [
            _wire("tls-x1", "TLS: 64 B", "--tls", 64, 1),
            _wire("tls-x16", "TLS: 64 B", "--tls", 64, 16),
            _wire("tls-16KiB", "TLS: 16 KiB", "--tls", 16 << 10, 1),
        ]
    if subject == "deflate":
        return [
            _wire("deflate-x1", "each message compressed: 1 KiB of JSON", "--deflate", 1024, 1),
            _wire("deflate-x16", "each message compressed: 1 KiB of JSON", "--deflate", 1024, 16),
        ]
    idle = ("--idle", "-c", conns)
    title = f"{conns} idle WebSocket connections"
    return [
        Scenario("idle", f"{title}, nothing sent", idle),
        Scenario("idle-touched", f"{title}, after one echo each", idle + ("--touch",)),
    ]
