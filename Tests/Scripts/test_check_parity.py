"""Tests of scripts/check-parity: names of tests, and rows."""

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "scripts/check-parity"
loader = importlib.machinery.SourceFileLoader("check_parity", str(PROGRAM))
parity = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_parity", loader))
loader.exec_module(parity)


class CheckParity(unittest.TestCase):
    def test_names_of_tests(self):
        self.assertEqual(list(parity.missing_names(
            "`OptionTests`, `OptionTests.callsMerge`, `Demos.hello`, `test_ring.c`, `Tests/Browser/run`, "
            "`HTTP/2 6.9.1`")), [])
        for name in ["NoTests", "OptionTests.calls", "Demos.hell", "test_none.c", "Tests/Browser/none"]:
            self.assertEqual(list(parity.missing_names(f"| `{name}` |")), [name])
        self.assertEqual(list(parity.missing_names("`HTTP/2 6.9.9`")), ["case of section 6.9.9"])

    def test_rows(self):
        rows = [f"| {letter}{number} | a | b |" for letter, last in parity.ROWS.items() for number in range(1, last + 1)]
        text = "\n".join(rows)
        self.assertEqual(list(parity.wrong_rows(text)), [])
        self.assertEqual(list(parity.wrong_rows(text.replace("| A1 |", "| A0 |"))),
                         ["row A1 is missing", "row A0 is unknown or twice"])
        self.assertEqual(list(parity.wrong_rows(text.replace("| A2 |", "| A2, A3 |"))), ["row A3 is unknown or twice"])


if __name__ == "__main__":
    unittest.main()
