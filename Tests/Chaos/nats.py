"""Servers of NATS with JetStream: a cluster of three, or one. NATS_SERVER in the environment is their program."""

import json
import os
import shutil
import signal
import socket
import urllib.request
from pathlib import Path

from server import Server

PROGRAM = os.environ.get("NATS_SERVER") or shutil.which("nats-server", path=f"{os.environ['PATH']}:/usr/sbin") or "nats-server"
SERVERS = 3
# An address of this process: connections of others have ports of 127.0.0.1, so a port that is free remains free.
HOST = "127.{}.{}.{}".format(1 + (os.getpid() >> 16) % 254, os.getpid() >> 8 & 255, os.getpid() & 255)


def free_port():
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


class Node(Server):
    """Keeps its ports."""

    def __init__(self, folder, number, routes):
        super().__init__()
        self.folder = Path(folder) / f"nats{number}"
        self.folder.mkdir()
        self.number, self.routes = number, routes
        self.ports = {"nats": -1, "monitoring": -1}
        self.is_stopped = False

    def start(self):
        settings = self.folder / "settings"
        routes = ", ".join(f'"nats://{HOST}:{port}"' for port in self.routes)
        settings.write_text(f"""
            server_name: node{self.number}
            listen: "{HOST}:{self.ports["nats"]}"
            http: "{HOST}:{self.ports["monitoring"]}"
            ports_file_dir: "{self.folder}"
            log_file: "{self.folder}/log"
            jetstream {{ store_dir: "{self.folder}/store" }}
            cluster {{ name: chaos, listen: "{HOST}:{self.routes[self.number]}", routes: [{routes}] }}
            """)
        self.spawn(PROGRAM, "-c", settings)

    def knows_ports(self):
        try:
            for name, urls in json.loads((self.folder / f"nats-server_{self.process.pid}.ports").read_text()).items():
                self.ports[name] = int(urls[0].rpartition(":")[2])
        except (OSError, ValueError):
            return False  # it is being written
        return True

    def is_healthy(self):
        """It has what the others have stored meanwhile."""
        if not self.process or self.is_stopped:
            return False
        self.check()
        if not self.knows_ports():
            return False
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.ports['monitoring']}/healthz", timeout=0.5) as answer:
                return json.load(answer)["status"] == "ok"
        except (OSError, ValueError):
            return False

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        self.is_stopped = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_stopped = False


class SingleNATS(Server):
    """One server. `address` is a host and a port."""

    def __init__(self, folder, address, namespace):
        super().__init__(namespace)
        self.folder, self.address = Path(folder), address

    @property
    def url(self):
        return "nats://{}:{}".format(*self.address)

    def start(self):
        settings = self.folder / "settings"
        settings.write_text("""
            listen: "{}:{}"
            log_file: "{folder}/log"
            jetstream {{ store_dir: "{folder}/store" }}
            """.format(*self.address, folder=self.folder))
        self.spawn(PROGRAM, "-c", settings)

    def answers(self):
        return self.replies(self.address, b"", b"INFO ")


class NATS:
    def __init__(self, folder):
        routes = [free_port() for _ in range(SERVERS)]
        self.nodes = [Node(folder, number, routes) for number in range(SERVERS)]

    def start(self):
        for node in self.nodes:
            node.start()

    def is_healthy(self):
        return all(node.is_healthy() for node in self.nodes)

    @property
    def url(self):
        return ",".join(f"nats://{HOST}:{node.ports['nats']}" for node in self.nodes)

    def kill(self):
        for node in self.nodes:
            node.kill()
