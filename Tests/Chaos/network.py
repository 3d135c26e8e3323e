"""Hosts with a network of their own: network namespaces at a bridge, whose cables can be cut without either end noticing.

A namespace exists as long as the process that holds it, which ends with this one, so nothing is left behind.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import time

PROGRAMS = ("unshare", "nsenter", "ip", "bridge")
CLONE_NEWNET = 0x40000000
DEADLINE = 10

libc = ctypes.CDLL(None, use_errno=True)


def set_namespace(descriptor):
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE)
        self.path = f"/proc/{self.holder.pid}/ns/net"
        deadline = time.monotonic() + DEADLINE
        while not self.exists():
            if self.holder.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise OSError(f"no network namespaces: {self.holder.stderr.read().decode().strip()}")
            time.sleep(0.002)

    def exists(self):
        try:
            return os.readlink(self.path) != os.readlink("/proc/self/ns/net")
        except OSError:
            return False  # the process has ended

    def close(self):
        self.holder.kill()
        self.holder.wait()

    def command(self, *command):
        return ["nsenter", f"--net={self.path}", *command]

    def run(self, *command):
        done = subprocess.run(self.command(*command), capture_output=True, text=True, timeout=DEADLINE)
        if done.returncode:
            raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")

    @contextlib.contextmanager
    def entered(self):
        """The sockets that this thread opens meanwhile are in the namespace."""
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        other = os.open(self.path, os.O_RDONLY)
        try:
            set_namespace(other)
            yield
        finally:
            set_namespace(own)
            os.close(own)
            os.close(other)


class Network:
    """Hosts 0 to `count` - 1. Their addresses are those that documentation uses, so they are nobody's."""

    def __init__(self, count):
        self.namespaces = []
        try:
            self.hub = self.add()
            self.hub.run("ip", "link", "add", "hub", "type", "bridge")
            self.hub.run("ip", "link", "set", "hub", "up")
            self.hosts = [self.add() for _ in range(count)]
            for number in range(count):
                self.connect(number)
        except OSError:
            self.close()
            raise

    @staticmethod
    def missing():
        """Why there can be none; None: nothing is known to be missing."""
        for program in PROGRAMS:
            if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
                return f"no {program}"
        return None

    def add(self):
        self.namespaces.append(Namespace())
        return self.namespaces[-1]

    @staticmethod
    def address(number):
        return f"192.0.2.{number + 1}"

    @staticmethod
    def hardware(number):
        return f"02:00:00:00:00:{number + 1:02x}"

    def connect(self, number):
        host = self.hosts[number]
        self.hub.run("ip", "link", "add", f"port{number}", "type", "veth", "peer", "name", "cable", "netns",
                     str(host.holder.pid))
        self.hub.run("ip", "link", "set", f"port{number}", "master", "hub", "up")
        host.run("ip", "link", "set", "cable", "address", self.hardware(number))
        host.run("ip", "address", "add", f"{self.address(number)}/24", "dev", "cable")
        host.run("ip", "link", "set", "cable", "up")
        host.run("ip", "link", "set", "lo", "up")
        # A host that cannot be reached is no error: it would be one if the others asked for its hardware address.
        for other in range(len(self.hosts)):
            if other != number:
                self.set_neighbor(number, other, self.hardware(other))

    def set_neighbor(self, number, other, hardware):
        self.hosts[number].run("ip", "neighbor", "replace", self.address(other), "lladdr", hardware, "dev", "cable",
                               "nud", "permanent")

    # Packets vanish from now on, and do not any more

    def cut(self, number):
        self.hub.run("bridge", "link", "set", "dev", f"port{number}", "state", "0")

    def mend(self, number):
        self.hub.run("bridge", "link", "set", "dev", f"port{number}", "state", "3")

    def mute(self, number, to):
        """Only those that host `number` sends to `to`."""
        self.set_neighbor(number, to, "02:00:00:00:00:ff")

    def unmute(self, number, to):
        self.set_neighbor(number, to, self.hardware(to))

    def close(self):
        for namespace in self.namespaces:
            namespace.close()
