"""Tests of scripts/check-layers: each makes a small tree with one violation, or with none."""

import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "scripts/check-layers"
STABLE = ("export.h", "error.h", "websocket.h", "http.h", "loop.h", "table.h", "record.h", "engine.h")
INTERNAL = ("internal/internal.h", "internal/bus.h", "internal/worker.h")


class CheckLayers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)
        self.write("include/module.modulemap",
                   self.module("CReactor", "creactor.h", *STABLE) + self.module("CReactorInternal", *INTERNAL))
        self.public("creactor.h", *(f'"{name}"' for name in STABLE))
        for name in STABLE:
            self.public(name)
        self.public("internal/internal.h", '"bus.h"', '"worker.h"')
        self.public("internal/bus.h", '"../record.h"')
        self.public("internal/worker.h", '"bus.h"')

    def module(self, name, *headers):
        return "".join([f"module {name} {{\n", *(f'    header "creactor/{header}"\n' for header in headers), "}\n"])

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def public(self, name, *includes):
        self.write(f"include/creactor/{name}", "".join(f"#include {include}\n" for include in includes))

    def source(self, name, *includes, lines=0):
        text = "".join(f"#include {include}\n" for include in includes) + "\n" * lines
        self.write(f"Sources/CReactor/{name}", text)

    def check(self, *arguments):
        run = subprocess.run([CHECK, "--root", self.root, *arguments], capture_output=True, text=True)
        self.assertEqual(run.stderr, "")
        return run.stdout

    def assert_fails(self, problem):
        self.assertIn(problem, self.check())

    def test_clean_tree_passes(self):
        self.source("core/alloc.c", "<creactor/error.h>", "<stdlib.h>")
        self.source("core/memory.h")
        self.source("ws/frame.c", '"core/memory.h"', "<creactor/websocket.h>")
        self.source("engine/conn.c", "<creactor/websocket.h>", "<creactor/engine.h>", "<uv.h>")
        self.source("engine/protocols/websocket/open.c", "<creactor/websocket.h>", "<creactor/engine.h>")
        self.source("runtime/worker.c", "<creactor/internal/worker.h>")
        self.assertEqual(self.check(), "")

    def test_lower_layer_includes_higher_one(self):
        self.source("engine/conn.h")
        self.source("net/socket.c", '"engine/conn.h"')
        self.assert_fails("net must not use engine")

    def test_public_header_of_higher_layer(self):
        self.source("loop/loop.c", "<creactor/engine.h>")
        self.assert_fails("loop must not use engine")

    def test_internal_header_of_higher_layer(self):
        self.source("engine/conn.c", "<creactor/internal/bus.h>")
        self.assert_fails("engine must not use link")

    def test_protocol_uses_parser_of_another(self):
        self.source("engine/protocols/raw/raw.c", "<creactor/websocket.h>")
        self.assert_fails("engine/protocols/raw must not use ws")

    def test_protocols_know_nothing_of_each_other(self):
        self.source("engine/protocols/http1/request.h")
        self.source("engine/protocols/websocket/open.c", '"engine/protocols/http1/request.h"')
        self.assert_fails("engine/protocols/websocket must not use engine/protocols/http1")

    def test_engine_knows_protocols_by_registration_only(self):
        self.source("engine/protocols/protocols.h")
        self.source("engine/conn.c", '"engine/protocols/protocols.h"')
        self.assertEqual(self.check(), "")
        self.source("engine/protocols/raw/raw.h")
        self.source("engine/conn.c", '"engine/protocols/raw/raw.h"')
        self.assert_fails("engine must not use engine/protocols/raw")

    def test_private_header_of_another_layer(self):
        self.source("loop/loop_internal.h")
        self.source("gateway/gateway.c", '"loop/loop_internal.h"')
        self.assert_fails("is internal to loop")
        self.source("core/block_internal.h")
        self.source("loop/loop.c", '"core/block_internal.h"')
        self.assert_fails("is internal to core")

    def test_unknown_folder(self):
        self.source("engine/protocols/gopher/gopher.c")
        self.assert_fails("belongs to no layer")

    def test_pure_layer_uses_sockets(self):
        self.source("http/head.c", "<sys/socket.h>")
        self.assert_fails("no event loop, no socket, no clock")

    def test_public_header_includes_internal_one(self):
        self.public("engine.h", '"internal/bus.h"')
        self.assert_fails("a public header must not include an internal one")

    def test_public_header_of_lower_layer_includes_higher_one(self):
        self.public("loop.h", '"engine.h"')
        self.assert_fails("loop must not use engine")

    def test_header_is_in_module_map(self):
        self.public("websocket_new.h")
        self.public("websocket.h", '"websocket_new.h"')
        self.assert_fails("websocket_new.h: is missing in module CReactor of include/module.modulemap")

    def test_header_is_in_umbrella(self):
        self.public("websocket_new.h")
        self.assert_fails("websocket_new.h: is not reached from creactor.h")

    def test_module_map_names_what_is_there(self):
        (self.root / "include/creactor/table.h").unlink()
        self.assert_fails("module CReactor must not name it")

    def test_large_header_shared_by_a_folder(self):
        self.source("http/all.h", lines=301)
        self.source("http/some.h", '"http/all.h"')
        for number in range(13):
            self.source(f"http/part{number}.c", '"http/some.h"')
        self.assert_fails("http/all.h:301: shared by its folder")

    def test_small_header_may_be_shared(self):
        self.source("http/all.h", lines=300)
        for number in range(13):
            self.source(f"http/part{number}.c", '"http/all.h"')
        self.assertEqual(self.check(), "")

    def test_call_of_a_higher_layer(self):
        """No header is included, yet the object file needs the function."""
        self.source("engine/engine.c")
        self.source("link/bus.c")
        self.write("engine.c", "int cre__upper(void); int cre__upper(void) { return 1; }\n")
        self.write("bus.c", "int cre__upper(void); int cre_bus(void); int cre_bus(void) { return cre__upper(); }\n")
        objects = self.root / "CMakeFiles/creactor.dir/Sources/CReactor"
        static, shared = self.root / "libcreactor.a", self.root / "libcreactor.so"
        compiled = []
        for source, target in ("engine.c", "engine/engine.c.o"), ("bus.c", "link/bus.c.o"):
            path = objects / target
            path.parent.mkdir(parents=True)
            subprocess.run(["gcc", "-c", self.root / source, "-o", path], check=True)
            compiled.append(path)
        subprocess.run(["ar", "rc", static, *compiled], check=True)
        self.write("empty.c", "")
        subprocess.run(["gcc", "-shared", self.root / "empty.c", "-nostdlib", "-o", shared], check=True)
        self.assertIn("link/bus.c: cre__upper: link must not use engine (engine/engine.c)",
                      self.check("symbols", static, shared))


if __name__ == "__main__":
    unittest.main()
