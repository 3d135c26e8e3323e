"""The registry of cases: each has the section that it is about, a title, and a function that gets the Suite."""

import time
import traceback

from client import Client, Failure

CASES = []


def case(section, title, applies=lambda suite: True):
    def register(function):
        CASES.append((section, title, function, applies))
        return function

    return register


def is_whole(suite):
    return not suite.is_bare


def has_websockets(suite):
    return suite.has_tunnels and not suite.is_bare


class Suite:
    """The server under test, as cases see it. A bare one echoes bodies of requests and the bytes of tunnels."""

    def __init__(self, port, large="/large", has_tunnels=True, is_bare=False, compresses=False):
        self.port, self.large, self.compresses = port, large, compresses
        self.has_tunnels, self.is_bare = has_tunnels, is_bare
        self.clients = []

    def connect(self, settings=b"", settle=True):
        client = Client(self.port, settings, settle)
        self.clients.append(client)
        return client

    def run(self, pattern=""):
        """Runs the cases whose section or title has the pattern. Returns the number of failures."""
        failures, count, start = 0, 0, time.monotonic()
        for section, title, function, applies in CASES:
            if pattern and pattern not in f"{section}: {title}" or not applies(self):
                continue
            count += 1
            why = None
            try:
                function(self)
                # whatever happened to that connection, others are served
                other = self.connect()
                other.headers(1)
                other.response(1)
            except Failure as failure:
                why = str(failure)
            except Exception:  # pylint: disable=broad-except
                why = traceback.format_exc()
            for client in self.clients:
                client.close()
            self.clients.clear()
            if why:
                failures += 1
                print(f"FAIL: {section}: {title}\n    {why}", flush=True)
        print(f"{count - failures} of {count} cases passed in {time.monotonic() - start:.1f} s")
        return failures
