"""A server of Redis, or of Valkey: REDIS_SERVER in the environment is its program."""

import os
import socket
import subprocess

PROGRAM = os.environ.get("REDIS_SERVER") or "redis-server"


class Redis:
    """Keeps its data when it is killed. It ends with this process. `address` is a path, or a host and a port; `namespace` is
    where it is."""

    def __init__(self, folder, address=None, namespace=None):
        self.folder, self.namespace = folder, namespace
        self.address = address or f"{folder}/redis"
        self.process = None

    @property
    def url(self):
        return "redis://{}:{}".format(*self.address)

    def start(self):
        if isinstance(self.address, str):
            where = ["--port", "0", "--unixsocket", self.address]
        else:
            where = ["--bind", self.address[0], "--port", str(self.address[1]), "--protected-mode", "no"]
        command = ["setpriv", "--pdeathsig", "KILL", PROGRAM, *where, "--save", "", "--appendonly", "yes", "--appendfsync", "no",
                   "--dir", self.folder, "--logfile", f"{self.folder}/log"]
        self.process = subprocess.Popen(self.namespace.command(*command) if self.namespace else command)

    def connect(self):
        if isinstance(self.address, str):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self.address)
            return connection
        with self.namespace.entered():
            return socket.create_connection(self.address, 1)

    def answers(self):
        """Before that it must not be killed: its first file would be incomplete."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{PROGRAM} has ended with code {self.process.returncode}")
        try:
            with self.connect() as connection:
                connection.settimeout(1)
                connection.sendall(b"PING\r\n")
                return connection.recv(16) == b"+PONG\r\n"
        except OSError:
            return False

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None
