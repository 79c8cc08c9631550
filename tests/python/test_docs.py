# SPDX-License-Identifier: Apache-2.0
"""Every example of docs/python.md, in order, in one program. Needs PROXACT_URL and PROXACT_TOKEN."""
import os
import re
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
PAGE = os.path.join(ROOT, "docs/python.md")


class Docs(unittest.TestCase):
    def test_every_example_runs(self):
        with open(PAGE, encoding="utf-8") as file:
            page = file.read()
        examples = list(re.finditer(r"^```python\n(.*?)^```", page, re.S | re.M))
        self.assertGreater(len(examples), 4)
        names, before = {}, os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                for example in examples:
                    line = page.count("\n", 0, example.start(1))
                    exec(compile("\n" * line + example[1], PAGE, "exec"), names)
            finally:
                os.chdir(before)


if __name__ == "__main__":
    unittest.main()
