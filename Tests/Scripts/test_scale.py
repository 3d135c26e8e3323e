"""docs/scale.md has the tables that follow from the measured costs, and a simulation agrees with them."""

import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "Benchmarks"))

from harness import capacity, fleet  # noqa: E402


class Scale(unittest.TestCase):
    def test_the_document_has_the_tables(self):
        done = subprocess.run([ROOT / "Benchmarks" / "scale", "--check"], capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_a_fleet_that_is_too_small_is_found_by_both(self):
        cost, plan = capacity.costs(), capacity.Fleet(10_000_000, 10, 32, 1)
        self.assertGreater(capacity.loads(capacity.ROOMS_HISTORY, plan, cost)["shard"], 1)
        _, latencies = fleet.simulate(capacity.ROOMS_HISTORY, plan, cost, messages=2000)
        # Messages wait for the shard, each for longer than those before it.
        self.assertGreater(latencies[-1], 10 * latencies[len(latencies) // 20])

    def test_one_machine_needs_no_broker(self):
        loads = capacity.loads(capacity.ROOMS, capacity.Fleet(1000, 1, 1, 0), capacity.costs())
        self.assertEqual((loads["gateway"], loads["shard"]), (0, 0))


if __name__ == "__main__":
    unittest.main()
