"""Tests of scripts/check-docs: which blocks are compiled, and as what."""

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "scripts/check-docs"
loader = importlib.machinery.SourceFileLoader("check_docs", str(PROGRAM))
docs = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_docs", loader))
loader.exec_module(docs)


class CheckDocs(unittest.TestCase):
    def test_blocks(self):
        text = "a\n```swift\nlet a = 1\nlet b = 2\n```\n```\nno Swift\n```\n```swift\n.package(a)\n```\n"
        text += "```swift\nimport PackageDescription\n```\n```swift\nlast()\n```\n"
        self.assertEqual(list(docs.blocks(text)), [(3, "let a = 1\nlet b = 2\n"), (16, "last()\n")])

    def test_ellipses(self):
        self.assertEqual(docs.without_ellipses("a { r, s in ... }\nb { ... }\nc(0...5)\n"),
                         "a { r, s in }\nb { }\nc(0...5)\n")

    def test_sources(self):
        text = docs.source("docs/a-b.md", docs.page_name(Path("docs/a-b.md")), 7, "import Other\n@Test func x() {}\n")
        self.assertIn("import Other\n", text.split("extension")[0])
        self.assertIn('extension ABPage {\n    static func block7() async throws {\n#sourceLocation(file: "docs/a-b.md", '
                      'line: 7)\n\nfunc x() {}\n#sourceLocation()\n', text)

    def test_names_of_pages(self):
        names = [docs.page_name(Path(name)) for name in ["README.md", "docs/http.md", "docs/shared-memory.md"]]
        self.assertEqual(names, ["ReadmePage", "HTTPPage", "SharedMemoryPage"])


if __name__ == "__main__":
    unittest.main()
