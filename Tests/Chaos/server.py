"""A server of Redis or NATS, as a process of its own."""

import contextlib
import socket
import subprocess


class Server:
    """Keeps its data when it is killed, and ends with this process. `namespace` is where it is; None: where this process is."""

    def __init__(self, namespace=None):
        self.namespace = namespace
        self.process = None

    def spawn(self, *command):
        command = ["setpriv", "--pdeathsig", "KILL", *map(str, command)]
        self.process = subprocess.Popen(self.namespace.command(*command) if self.namespace else command)

    def check(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{type(self).__name__} has ended with code {self.process.returncode}")

    def connect(self, address):
        """`address` is a path, or a host and a port."""
        if isinstance(address, str):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(address)
            return connection
        with self.namespace.entered() if self.namespace else contextlib.nullcontext():
            return socket.create_connection(address, 1)

    def replies(self, address, request, reply):
        """Whether the beginning of what it sends is `reply`."""
        self.check()
        try:
            with self.connect(address) as connection:
                connection.settimeout(1)
                connection.sendall(request)
                return connection.recv(len(reply)) == reply
        except OSError:
            return False

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None
