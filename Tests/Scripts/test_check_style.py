"""Tests of scripts/check-style: words and comments."""

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "scripts/check-style"
loader = importlib.machinery.SourceFileLoader("check_style", str(PROGRAM))
style = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_style", loader))
loader.exec_module(style)


def problems(text, name="Sources/CReactor/core/error.c"):
    return [problem for _, problem in style.check_words(name, text)]


class CheckStyle(unittest.TestCase):
    def assert_found(self, text, name="Sources/CReactor/core/error.c"):
        self.assertEqual(len(problems(text, name)), 1, text)

    def assert_fine(self, text, name="Sources/CReactor/core/error.c"):
        self.assertEqual(problems(text, name), [], text)

    def test_words_in_text_and_names(self):
        for line in ("/* The owner is told. */", "cre__conn_tell(conn);", "func tellDropped() {", "body.wasTold()",
                     "static void end_doomed(cre__conn *conn) {", "bool deaf;", "node.heldBack = true",
                     "/* It makes no sense. */", "/* reads anew */", "/* so many bytes */", "/* So much of a body. */",
                     "// becoming somebody else", "// the user's own process", "/* is left out */", "stats.left_out++",
                     "// gives up after a second", "/* Whether it speaks TLS. */", "final class Relay {",
                     "bool late) {",
                     '#include "host/worker.h"'):
            self.assert_found(line)

    def test_words_that_only_look_alike(self):
        for line in ("/* Intelligent tolling, storytelling, foretold. */", "bool shear;", "linear(heart)",
                     "server.onPipeMessage { }", "/* closed by the peer */", "/* muteddata */",
                     "/* as long as it is open, so long as it lives */",
                     "/* A sender sends. */", "let host = request.host", "var orders: [Int]", "/* later, isolated */",
                     "/* logged out, leaves outputs */", "/* outright */"):
            self.assert_fine(line)

    def test_documentation_names_its_subject(self):
        self.assert_found("}\n/// The same as above.\n", "Sources/SwiftServer/Core/Log.swift")
        self.assert_found("/**\n * The same for all.\n */\n")
        self.assert_found("/** The same for all. */\n")
        self.assert_fine("/// Sends a frame.\n/// The same frame may be sent twice.\n",
                         "Sources/SwiftServer/Core/Log.swift")
        self.assert_fine("/* The same address. */\n")

    def test_long_comments_in_swift(self):
        self.assert_found("// " + "x" * 118, "Sources/SwiftServer/Core/Log.swift")
        self.assert_fine("// " + "x" * 117, "Sources/SwiftServer/Core/Log.swift")
        self.assert_fine('let text = "' + "x" * 130 + '"', "Sources/SwiftServer/Core/Log.swift")
        self.assert_fine("// " + "x" * 118)

    def test_only_what_people_read(self):
        self.assert_fine("told", "Tests/Fuzz/corpus/record/told")
        self.assert_fine("told", "scripts/check-style")
        self.assert_found("told", "README.md")

    def test_pending_paths_exist(self):
        for path in style.PENDING:
            self.assertTrue((style.ROOT / path).exists(), f"{path} is gone: remove it from PENDING")


if __name__ == "__main__":
    unittest.main()
