"""Tests of scripts/release and scripts/check-abi, in a repository that has only what they read."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLANG = os.environ.get("toolchain_clang") or shutil.which("clang")
CHANGELOG = "# Changelog\n\n## Unreleased\n\n### Added\n\n- A thing.\n"


@unittest.skipUnless(CLANG, "no clang")
class Release(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        (self.root / "scripts").mkdir()
        (self.root / "docs").mkdir()
        for name in ["release", "version", "check-abi"]:
            shutil.copy(ROOT / "scripts" / name, self.root / "scripts")
        headers = self.root / "include/creactor"
        headers.mkdir(parents=True)
        for name in ["version.h", "export.h"]:
            shutil.copy(ROOT / "include/creactor" / name, headers)
        (headers / "creactor.h").write_text('#include "version.h"\n')
        (headers / "uv.h").write_text("")
        (self.root / "CHANGELOG.md").write_text(CHANGELOG)
        (self.root / "README.md").write_text("In development, version 0.1 not yet released.\n")
        (self.root / ".gitignore").write_text(".build\n")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "tests")
        self.git("config", "user.email", "tests@localhost")
        self.commit()

    def tearDown(self):
        self.folder.cleanup()

    def git(self, *arguments):
        return subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True).stdout

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "state")

    def release(self, *arguments):
        result = subprocess.run(["scripts/release", *arguments], cwd=self.root, capture_output=True, text=True,
                                env=os.environ | {"toolchain_clang": CLANG}, timeout=120)
        return result.returncode, result.stdout + result.stderr

    def assert_refused(self, words, *arguments):
        code, output = self.release(*arguments, "--no-gate", "--no-swift-api")
        self.assertEqual(code, 1, output)
        self.assertIn(words, output)

    def edit(self, name, old, new):
        path = self.root / name
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new, 1))

    def make(self, version):
        """Prepares, commits and tags a version."""
        self.edit("CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- Another thing.\n")
        self.assertEqual(self.release("prepare", version)[0], 0)
        self.commit()
        return self.release("tag", version, "--no-gate", "--no-swift-api")

    def test_the_first_release(self):
        self.assertEqual(self.release("tag")[0], 2)
        self.assertEqual(self.release("tag", "0.1.0", "--other")[0], 2)
        self.assert_refused("must be MAJOR.MINOR.PATCH", "tag", "v0.1")
        self.assert_refused('no heading "## 0.1.0 - YEAR-MONTH-DAY"', "tag", "0.1.0")
        self.assert_refused("version.h has 0.1.0, not 0.2.0", "tag", "0.2.0")
        code, output = self.release("prepare", "0.1.0")
        self.assertEqual(code, 0, output)
        self.assert_refused("the working tree has changes", "tag", "0.1.0")
        self.commit()
        self.assert_refused("README.md says that 0.1 is not released", "tag", "0.1.0")
        (self.root / "README.md").write_text("Released.\n")
        self.commit()
        code, output = self.release("tag", "0.1.0", "--no-gate", "--no-swift-api", "--dry-run")
        self.assertEqual(code, 0, output)
        self.assertIn("would make the tag 0.1.0", output)
        self.assertEqual(self.git("tag"), "")
        code, output = self.release("tag", "0.1.0", "--no-gate", "--no-swift-api")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.git("cat-file", "-t", "0.1.0"), "tag\n")
        self.assertIn("### Added\n\n- A thing.", self.git("tag", "--list", "--format=%(contents)", "0.1.0"))
        self.assert_refused("the tag 0.1.0 exists", "tag", "0.1.0")
        self.assert_refused("the last release is 0.1.0, which is after 0.0.9", "check", "0.0.9")
        self.assertIn("has nothing under", self.release("prepare", "0.1.1")[1])

    def test_changes_of_the_c_interface(self):
        (self.root / "README.md").write_text("Released.\n")
        self.assertEqual(self.make("0.1.0")[0], 0)
        # Something new needs a minor version, and so does, before 1.0, what breaks programs.
        self.edit("include/creactor/version.h", "CRE_END_DECLS", "CRE_API int cre_new_thing(void);\n\nCRE_END_DECLS")
        code, output = self.make("0.1.1")
        self.assertEqual(code, 1, output)
        self.assertIn("+ function cre_new_thing: int (void)", output)
        self.assertIn("(minor) need another version than 0.1.1 after 0.1.0", output)
        code, output = self.make("0.2.0")
        self.assertEqual(code, 0, output)
        self.edit("include/creactor/version.h", "int cre_new_thing(void)", "long cre_new_thing(void)")
        code, output = self.make("0.2.1")
        self.assertEqual(code, 1, output)
        self.assertIn("! function cre_new_thing: int (void) -> long (void)", output)
        self.assertIn("(breaking) need another version", output)
        # Headers that were changed behind the list.
        self.edit("include/creactor/version.h", "long cre_new_thing(void)", "char cre_new_thing(void)")
        self.commit()
        self.assert_refused("docs/c-abi.txt is not that of these headers", "check", "0.2.1")

    def test_structures(self):
        lines = ["size cre_a: 8, aligned to 4", "member cre_a.size: 0 uint32_t", "member cre_a.x: 4 int",
                 "size cre_b: 4, aligned to 4", "member cre_b.x: 0 int"]
        (self.root / "old").write_text("\n".join(lines))

        def compare(text):
            (self.root / "new").write_text(text)
            return subprocess.run(["scripts/check-abi", "compare", "old", "new"], cwd=self.root,
                                  capture_output=True, timeout=60).returncode
        same = "\n".join(lines)
        self.assertEqual(compare(same), 0)
        # A structure with a size may grow, another one not; none may change what it has.
        grown = same.replace("cre_a: 8", "cre_a: 12") + "\nmember cre_a.y: 8 int"
        self.assertEqual(compare(grown), 3)
        self.assertEqual(compare(same.replace("cre_b: 4", "cre_b: 8") + "\nmember cre_b.y: 4 int"), 4)
        self.assertEqual(compare(same.replace("cre_a.x: 4 int", "cre_a.x: 4 long")), 4)
        self.assertEqual(compare(same.replace("\nmember cre_b.x: 0 int", "")), 4)
        self.assertEqual(compare(same + "\nsize cre_c: 1, aligned to 1\nmember cre_c.z: 0 char"), 3)

    def test_the_list_of_the_headers(self):
        command = [ROOT / "scripts/check-abi", "record"]
        text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60,
                              env=os.environ | {"toolchain_clang": CLANG}).stdout
        for line in ["function cre_version: const char *(void)", "value CRE_EVENT_MESSAGE: 2",
                     "member cre_http_head.field_count: 4 uint16_t"]:
            self.assertIn(line + "\n", text)


if __name__ == "__main__":
    unittest.main()
