"""The registry of cases: each has the section that it is about, a title, and a function that gets the Suite."""

import time
import traceback

from client import Client, Failure

CASES = []


def case(section, title):
    def register(function):
        CASES.append((section, title, function))
        return function

    return register


class Suite:
    """The server under test, as cases see it."""

    def __init__(self, port, large="/large", has_tunnels=True):
        self.port, self.large, self.has_tunnels = port, large, has_tunnels
        self.clients = []

    def connect(self, settings=b"", settle=True):
        client = Client(self.port, settings, settle)
        self.clients.append(client)
        return client

    def run(self, pattern=""):
        """Runs the cases whose section or title has the pattern. Returns the number of failures."""
        failures, count, start = 0, 0, time.monotonic()
        for section, title, function in CASES:
            if pattern and pattern not in f"{section}: {title}":
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
