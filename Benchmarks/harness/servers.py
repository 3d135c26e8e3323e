"""The servers: ours in its forms, and the peers."""

import contextlib
import dataclasses
import os
import re
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .paths import BENCHMARKS, CERTIFICATE, FILES, KEY, PEERS, ROOT, shown

# What the ratios are to: epoll for TCP, nghttpd for HTTP/2, nginx for files.
REFERENCES = ("uWebSockets", "epoll", "nghttpd", "nginx")
# `./dev bench` says where it has built them.
C_ECHO = Path(os.environ.get("C_EXAMPLES") or ROOT / ".build/cmake/examples") / "c-echo"
SWIFT_ECHO = Path(os.environ.get("SWIFT_EXAMPLES") or ROOT / "Examples/.build/release") / "echo"
MAX_MESSAGE = 16 << 20
START_SECONDS = 10
# Handlers of the Swift echo that are worth a row, in base and in process mode.
SWIFT_HANDLERS = {
    "ws": {
        "base": ("callback", "span", "async", "straight"),
        "process": ("callback", "span", "async", "straight"),
    },
    "http": {"base": ("callback", "async", "routed"), "process": ("callback", "routed")},
    "http2": {"base": ("callback", "async", "straight", "routed"), "process": ("callback", "routed")},
    "broadcast": {"base": ("callback",), "process": ("callback",)},
    "connections": {"base": ("callback", "straight"), "process": ("callback",)},
    "idle": {"base": ("callback",), "process": ("callback",)},
    "tcp": {"base": ("callback",), "process": ("callback",)},
    "tls": {"base": ("callback", "span", "async", "straight"), "process": ("callback",)},
    "deflate": {"base": ("callback",), "process": ("callback",)},
}
# Further options of our servers and of uWebSockets.
OPTIONS = {
    "tcp": ("--tcp",),
    "tls": ("--cert", CERTIFICATE, "--key", KEY),
    "deflate": ("--compress", "yes"),
}


class Failure(Exception):
    """Why a server could not be measured, in one line."""


@dataclass(frozen=True)
class Server:
    name: str
    command: tuple
    needs: Path  # the file that must be there
    hint: str = ""  # how to get it
    key: str = ""  # the peer's name in --peers and in the list of versions
    base: str = ""  # process mode: the row of the same handler in base mode
    many: bool = False  # several processes
    config: Path = None  # a file to be filled in with @PORT@ and @DIR@
    listen: str = ""  # for @LISTEN@ in it

    @property
    def missing(self):
        return None if self.needs.exists() else f"{shown(self.needs)} is not there ({self.hint})"


def peer(name, key):
    return Server(name, (PEERS / key, "--port", "0"), PEERS / key, "Benchmarks/peers/install.sh", key)


PROGRAM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
NGINX_PROGRAM = shutil.which("nginx", path=PROGRAM_PATH) or "nginx"
NGINX = Server(
    "nginx",
    (NGINX_PROGRAM, "-p", "@DIR@/", "-c", "@CONFIG@", "-e", "stderr"),
    PEERS / "nginx.conf",
    "Benchmarks/peers/install.sh",
    "nginx",
    config=BENCHMARKS / "peers" / "nginx.conf",
)
NGINX_HTTP2 = dataclasses.replace(NGINX, listen="http2")
# It sends a file, whose descriptor it keeps open.
NGHTTPD = Server(
    "nghttpd",
    (PEERS / "nghttpd", "--no-tls", "-n", "1", "-a", "127.0.0.1", "-d", FILES, "@PORT@"),
    PEERS / "nghttpd",
    "Benchmarks/peers/install.sh",
    "nghttpd",
)
# What the protocol library costs alone.
NGHTTP2 = peer("nghttp2 alone", "nghttp2")
UWEBSOCKETS = peer("uWebSockets", "uwebsockets")
# Programs of their own, from sources: the packaged library has neither.
UWEBSOCKETS_TLS = dataclasses.replace(
    peer("uWebSockets", "uwebsockets-tls"),
    command=(PEERS / "uwebsockets-tls", "--port", "0", "--cert", CERTIFICATE, "--key", KEY),
    hint="Benchmarks/peers/install.sh --sources DIR",
)
UWEBSOCKETS_DEFLATE = dataclasses.replace(
    peer("uWebSockets", "uwebsockets-deflate"), hint="Benchmarks/peers/install.sh --sources DIR"
)
# What kernel and copies cost alone.
BARE = peer("epoll alone", "bare")
BARE_DEFLATE = peer("epoll, zlib and ISA-L alone", "bare-deflate")
BEAST = peer("Boost.Beast", "beast")
LIBWEBSOCKETS = peer("libwebsockets", "libwebsockets")
NODE_WS = peer("ws on Node", "node-ws")
SWOOLE = tuple(
    Server(
        f"Swoole {mode}",
        (PEERS / "swoole", "--port", "0", "--mode", mode),
        PEERS / "swoole",
        "Benchmarks/peers/install.sh --sources DIR",
        "swoole",
        base="Swoole base" if mode == "process" else "",
        many=mode == "process",
    )
    for mode in ("base", "process")
)
TCP_EPOLL = peer("epoll", "tcp-epoll")
# The least of process mode; "own base" is then that of base mode.
TCP_RINGS = dataclasses.replace(peer("epoll, two processes", "tcp-rings"), base="epoll", many=True)
TCP_LIBUV = peer("libuv", "tcp-libuv")
PEERS_OF = {
    "ws": (UWEBSOCKETS, BARE, BEAST, LIBWEBSOCKETS, NODE_WS, *SWOOLE),
    "http": (UWEBSOCKETS, BARE, NGINX, BEAST, LIBWEBSOCKETS, NODE_WS, *SWOOLE),
    "http2": (NGHTTPD, NGHTTP2, NGINX_HTTP2),
    "broadcast": (UWEBSOCKETS, BEAST, LIBWEBSOCKETS, NODE_WS, *SWOOLE),
    "connections": (UWEBSOCKETS, BARE, BEAST, LIBWEBSOCKETS, NODE_WS, *SWOOLE),
    "idle": (UWEBSOCKETS, BEAST, LIBWEBSOCKETS, NODE_WS, *SWOOLE),
    "tcp": (TCP_EPOLL, TCP_RINGS, TCP_LIBUV),
    "tls": (UWEBSOCKETS_TLS,),
    "deflate": (UWEBSOCKETS_DEFLATE, BARE_DEFLATE),
}
PEER_KEYS = sorted({server.key for group in PEERS_OF.values() for server in group})


def ours(subject, modes, tree=None):
    """Our servers; with `tree` those of another checkout, whose names end in "(before)"."""
    c_echo = tree / ".build/cmake/examples/c-echo" if tree else C_ECHO
    swift_echo = tree / ".build/examples/release/echo" if tree else SWIFT_ECHO
    end = " (before)" if tree else ""
    options = OPTIONS.get(subject, ())
    if subject != "tcp":
        yield Server(f"C echo{end}", (c_echo, "--port", "0") + options, c_echo, "cmake --build .build/cmake")
    for mode in modes:
        for handler in SWIFT_HANDLERS[subject][mode]:
            command = (swift_echo, "--host", "127.0.0.1", "--port", "0", "--mode", mode, "--handler", handler)
            command += ("--workers", "1", "--reactors", "1", "--max-message", str(MAX_MESSAGE))
            if handler == "routed":
                command += ("--files", FILES)
            yield Server(
                f"Swift {mode}, {handler}{end}",
                command + options,
                swift_echo,
                "swift build -c release --omit-frame-pointers --package-path Examples --scratch-path .build/examples --product echo",
                base=f"Swift base, {handler}{end}" if mode == "process" else "",
                many=mode == "process",
            )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def last_line(directory):
    """What the server said last, for the row that reports its failure."""
    for name in ("err", "out"):
        lines = (directory / name).read_text(errors="replace").split("\n")
        lines = [line.strip() for line in lines if line.strip() and not line.startswith("ready ")]
        if lines:
            return ": " + lines[-1][:160].replace("|", "/")
    return ""


def filled_command(server, directory):
    words = {"@PORT@": str(free_port()), "@DIR@": str(directory), "@FILES@": str(FILES), "@LISTEN@": server.listen}

    def fill(text):
        for word, value in words.items():
            text = text.replace(word, value)
        return text

    if server.config:
        config = directory / "config"
        config.write_text(fill(server.config.read_text()))
        words["@CONFIG@"] = str(config)
    return [fill(str(word)) for word in server.command]


class Running:
    """A server that accepts connections."""

    def __init__(self, process, directory):
        self.process = process
        self.directory = directory
        self.port = processes.wait_until(self._find_port, START_SECONDS)
        if not self.port:
            raise Failure(f"did not accept within {START_SECONDS} s" + last_line(directory))

    def _find_port(self):
        self.check()
        match = re.search(r"^ready (\d+)\b.*\n", (self.directory / "out").read_text(errors="replace"), re.M)
        if match:
            return int(match[1])
        # A server without a ready line (nginx) is ready when it listens.
        ports = processes.listening_ports(processes.family(self.process.pid))
        return min(ports) if ports else None

    def check(self):
        status = self.process.poll()
        if status is not None:
            how = f"signal {-status}" if status < 0 else f"status {status}"
            raise Failure(f"ended with {how}" + last_line(self.directory))


@contextlib.contextmanager
def started(server, cpus):
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        with open(directory / "out", "wb") as out, open(directory / "err", "wb") as err:
            try:
                command = filled_command(server, directory)
                process = processes.spawn(command, cpus, processes.MEASURED, stdout=out, stderr=err, cwd=directory)
            except OSError as error:
                raise Failure(f"cannot start: {error.strerror}") from None
        try:
            yield Running(process, directory)
        finally:
            processes.stop(process)
