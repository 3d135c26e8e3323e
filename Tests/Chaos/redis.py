"""A server of Redis, or of Valkey: REDIS_SERVER in the environment is its program."""

import os

from server import Server

PROGRAM = os.environ.get("REDIS_SERVER") or "redis-server"


class Redis(Server):
    """`address` is a path, or a host and a port."""

    def __init__(self, folder, address=None, namespace=None):
        super().__init__(namespace)
        self.folder, self.address = folder, address or f"{folder}/redis"

    @property
    def url(self):
        return "redis://{}:{}".format(*self.address)

    def start(self):
        if isinstance(self.address, str):
            where = ["--port", "0", "--unixsocket", self.address]
        else:
            where = ["--bind", self.address[0], "--port", self.address[1], "--protected-mode", "no"]
        self.spawn(PROGRAM, *where, "--save", "", "--appendonly", "yes", "--appendfsync", "no", "--dir", self.folder,
                   "--logfile", f"{self.folder}/log")

    def answers(self):
        """Before that it must not be killed: its first file would be incomplete."""
        return self.replies(self.address, b"PING\r\n", b"+PONG\r\n")
