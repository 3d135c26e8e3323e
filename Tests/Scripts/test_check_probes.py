"""Tests of scripts/check-probes: the table of the documentation, and what a file has."""

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "scripts/check-probes"
loader = importlib.machinery.SourceFileLoader("check_probes", str(PROGRAM))
probes = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_probes", loader))
loader.exec_module(probes)


def note(name, arguments, provider="creactor"):
    return (f"  stapsdt              0x0000003d\tNT_STAPSDT (SystemTap probe descriptors)\n    Provider: {provider}\n"
            f"    Name: {name}\n    Location: 0x1, Base: 0x2, Semaphore: 0x0\n    Arguments: {arguments}\n")


class CheckProbes(unittest.TestCase):
    def test_table(self):
        text = "## A\n| `no` | a |\n## Tracing\n| probe | arguments |\n| `one` | a | b |\n| `two` | a, b | c |\n## B\n| `no` | a |\n"
        self.assertEqual(probes.documented(text), {"one": 1, "two": 2})
        self.assertEqual(probes.documented("nothing"), {})

    def test_probes(self):
        rows = {"one": 1, "two": 2}
        good = note("one", "8@%rdi") + note("two", "8@248(%rbx) -4@$0") + note("other", "", "libc")
        self.assertEqual(list(probes.problems_of(good, rows)), [])
        self.assertEqual(list(probes.problems_of("", {"one": 1})), ["one: there is no such probe"])
        self.assertEqual(list(probes.problems_of(note("one", "8@%rdi") + note("one", "8@%rdi 8@%rax"), {"one": 1})),
                         ["one: 2 arguments, documented: 1"])
        self.assertEqual(list(probes.problems_of(note("new", "8@%rdi"), {})), ["new: is not documented"])
        self.assertEqual(len(list(probes.problems_of(note("one", "8f@%xmm0"), {"one": 1}))), 1)

    def test_the_documentation_has_a_table(self):
        text = (PROGRAM.parent.parent / "docs/observing.md").read_text()
        self.assertIn("accept", probes.documented(text))


if __name__ == "__main__":
    unittest.main()
