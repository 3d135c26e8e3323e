"""Tests of scripts/check-headers: doc comments of functions, sizes of configurations."""

import importlib.machinery
import importlib.util
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "scripts/check-headers"
loader = importlib.machinery.SourceFileLoader("check_headers", str(PROGRAM))
headers = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_headers", loader))
loader.exec_module(headers)


class CheckHeaders(unittest.TestCase):
    def found(self, text):
        return list(headers.check_functions("a.h", text)) + list(headers.check_structures("a.h", text))

    def assert_found(self, text):
        self.assertEqual(len(self.found(text)), 1, text)

    def assert_fine(self, text):
        self.assertEqual(self.found(text), [], text)

    def test_every_function_has_a_comment(self):
        self.assert_found("CRE_API void cre_stop(void);\n")
        self.assert_found("/** Starts. */\nCRE_API void cre_start(void);\nCRE_API void cre_stop(void);\n")
        self.assert_found("/* Not a doc comment. */\nCRE_API void cre_stop(void);\n")
        self.assert_found("/** A structure. */\ntypedef struct cre_a cre_a;\nCRE_API void cre_stop(void);\n")
        self.assert_fine("/** Starts. */\nCRE_API void cre_start(void);\n\n/** Stops. */\nCRE_API void cre_stop(void);\n")
        self.assert_found("static inline void cre_stop(void) {\n}\n")

    def test_comments_name_the_result(self):
        self.assert_found("/** Starts. */\nCRE_NODISCARD CRE_API int cre_start(void);\n")
        self.assert_found("/** Starts. */\nCRE_NODISCARD\nCRE_API cre_a *cre_start(void);\n")
        self.assert_fine("/** Starts. Returns 0. */\nCRE_NODISCARD CRE_API int cre_start(void);\n")
        self.assert_fine("/** The number of\n * bytes. */\nCRE_API size_t cre_length(void);\n")
        self.assert_fine("/** Whether it is open. */\nCRE_API bool cre_is_open(void);\n")
        self.assert_fine("/** Starts, with the results of cre_a. */\nCRE_API int cre_start(void);\n")

    def test_a_group_of_functions_may_have_one_result(self):
        group = "/* ---- commands, with the results of cre_a ---- */\n"
        one = "/** Starts. */\nCRE_API int cre_start(void);\n"
        self.assert_fine(group + one)
        self.assert_found(group + "/* ---- others ---- */\n" + one)

    def test_configurations_start_with_their_size(self):
        self.assert_fine("typedef struct cre_a_config {\n    size_t size; /* sizeof */\n    int b;\n} cre_a_config;\n")
        self.assert_fine("typedef struct cre_a_options {\n    /** Its size. */\n    size_t size;\n} cre_a_options;\n")
        self.assert_found("typedef struct cre_a_config {\n    int b;\n    size_t size;\n} cre_a_config;\n")
        self.assert_found("typedef struct cre_a_options {\n    uint32_t size;\n} cre_a_options;\n")
        self.assert_fine("typedef struct cre_ws_config {\n    uint64_t max_message;\n} cre_ws_config;\n")

    def test_the_headers_are_fine(self):
        self.assertEqual(headers.main(), 0)


if __name__ == "__main__":
    unittest.main()
