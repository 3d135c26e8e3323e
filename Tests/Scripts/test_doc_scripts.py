"""Tests of scripts/doc-articles and scripts/doc-symbols: links, topics and comments of the documentation."""

import importlib.machinery
import importlib.util
import json
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def loaded(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(ROOT / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


articles = loaded("doc-articles")
symbols = loaded("doc-symbols")


def symbol(path, precise, **more):
    return {"pathComponents": path.split("/"), "identifier": {"precise": precise}, "names": {"title": path.split("/")[-1]},
            "kind": {"identifier": "c.property"}, **more}


class Articles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def page(self, name, text):
        (self.folder / name).write_text(text)
        return articles.Page(self.folder / name)

    def test_links(self):
        text = "# A\n\n[b.md](b.md#the-start), [`x`](b.md), [code](../c.c)\n\n```\n[b](b.md)\n```\n![p](p.svg)\n"
        first, second = self.page("a.md", text), self.page("b.md", "# The B\n\n## The start\n")
        images = set()
        known = {page.path.resolve(): page for page in [first, second]}
        self.assertEqual(
            articles.rewritten(first, known, images).split("\n\n", 1)[1],
            "[The B](doc:b#The-start), [`x`](doc:b), code\n\n```\n[b](b.md)\n```\n![p](p.svg)\n")
        self.assertEqual(images, {(self.folder / "p.svg").resolve()})

    def test_links_to_another_archive_name_no_heading(self):
        first = self.page("a.md", "# A\n\n[`x`](c-api.md#the-start)\n")
        second = self.page("c-api.md", "# C\n\n## The start\n\n[`y`](a.md)\n")
        known = {page.path.resolve(): page for page in [first, second]}
        self.assertEqual(articles.rewritten(first, known, set()), "# A\n\n[`x`](doc:/CReactor/c-api)\n")
        self.assertEqual(articles.rewritten(second, known, set()), "# C\n\n## The start\n\n`y`\n")

    def test_anchors(self):
        page = self.page("a.md", "# A\n\n## Before and after `start()`\n\n```\n## no heading\n```\n")
        self.assertEqual(page.heading("before-and-after-start"), "Before and after `start()`")
        self.assertIsNone(page.heading("no-heading"))
        self.assertEqual(articles.fragment("Before and after `start()`"), "Before-and-after-start()")

    def test_topics(self):
        graph = {"symbols": [symbol("Server/push(_:)", "s:1"), symbol("Server/push(_:)", "s:2"), symbol("Server/host", "s:3")]}
        (self.folder / "A.symbols.json").write_text(json.dumps(graph))
        found = articles.Symbols(self.folder)
        text, used = articles.with_topics("## Topics\n\n- ``push``\n- ``host``", "Server", found)
        self.assertEqual(len(used), 3)
        self.assertIn(f"- ``push(_:)-{articles.stable_hash('s:1')}``", text)
        self.assertEqual(found.members("Server") - used, set())
        with self.assertRaises(SystemExit):
            articles.with_topics("## Topics\n\n- ``pull``", "Server", found)

    def test_hashes_are_those_of_docc(self):
        close = "s:11SwiftServer0B0C5close_4code6reasonSbAA12ConnectionIDV_s6UInt16VSStF"
        self.assertEqual(articles.stable_hash(close), "6fmsz")


class Symbols(unittest.TestCase):
    def complete(self, header, *found):
        with tempfile.NamedTemporaryFile("w", suffix=".h") as file:
            file.write(header)
            file.flush()
            for each, line in found:
                each["location"] = {"uri": f"file://{file.name}", "position": {"line": line, "character": 0}}
            graph = symbols.complete({"symbols": [each for each, _ in found], "relationships": []})
            return {each["names"]["title"]: symbols.comment(each) for each in graph["symbols"]}, graph

    def test_comments_behind_and_before(self):
        comments, graph = self.complete(
            "struct a {\n    int b; /* bytes of\n              it */\n    int c;\n    int name_length;\n};\n",
            (symbol("a/b", "1"), 1), (symbol("a/c", "2"), 3), (symbol("a/name_length", "3"), 4))
        self.assertEqual(comments["b"], "Bytes of it.")
        self.assertEqual(comments["name_length"], "The length of `name`.")
        self.assertEqual(len(list(symbols.undocumented(graph))), 1)

    def test_private_members(self):
        whole = symbol("a", "0", docComment={"lines": [{"text": "A state. Fields are private."}]})
        comments, _ = self.complete("struct a {\n    int b;\n};\n", (whole, 0), (symbol("a/b", "1"), 1))
        self.assertEqual(list(comments), ["a"])


if __name__ == "__main__":
    unittest.main()
