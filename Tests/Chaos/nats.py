"""Servers of NATS with JetStream: a cluster of three, or one. NATS_SERVER in the environment is their program."""

import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

PROGRAM = os.environ.get("NATS_SERVER") or shutil.which("nats-server", path=f"{os.environ['PATH']}:/usr/sbin") or "nats-server"
SERVERS = 3


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Node:
    """Keeps its ports, and its data, when it is killed. It ends with this process."""

    def __init__(self, folder, number, routes):
        self.folder = Path(folder) / f"nats{number}"
        self.folder.mkdir()
        self.number, self.routes = number, routes
        self.ports = {"nats": -1, "monitoring": -1}
        self.process = None
        self.is_stopped = False

    def start(self):
        settings = self.folder / "settings"
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self.routes)
        settings.write_text(f"""
            server_name: node{self.number}
            listen: "127.0.0.1:{self.ports["nats"]}"
            http: "127.0.0.1:{self.ports["monitoring"]}"
            ports_file_dir: "{self.folder}"
            log_file: "{self.folder}/log"
            jetstream {{ store_dir: "{self.folder}/store" }}
            cluster {{ name: chaos, listen: "127.0.0.1:{self.routes[self.number]}", routes: [{routes}] }}
            """)
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", PROGRAM, "-c", settings])

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
        if self.process.poll() is not None:
            raise RuntimeError(f"{PROGRAM} has ended with code {self.process.returncode}")
        if not self.knows_ports():
            return False
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['monitoring']}/healthz", timeout=0.5) as answer:
                return json.load(answer)["status"] == "ok"
        except (OSError, ValueError):
            return False

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        self.is_stopped = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_stopped = False


class SingleNATS:
    """One server, which keeps its data when it is killed, and ends with this process. `address` is a host and a port;
    `namespace` is where it is."""

    def __init__(self, folder, address, namespace):
        self.folder, self.address, self.namespace = Path(folder), address, namespace
        self.process = None

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
        self.process = subprocess.Popen(self.namespace.command("setpriv", "--pdeathsig", "KILL", PROGRAM, "-c", str(settings)))

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{PROGRAM} has ended with code {self.process.returncode}")
        try:
            with self.namespace.entered():
                connection = socket.create_connection(self.address, 1)
            with connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None


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
        return ",".join(f"nats://127.0.0.1:{node.ports['nats']}" for node in self.nodes)

    def kill(self):
        for node in self.nodes:
            node.kill()
