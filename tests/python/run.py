#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs unittest modules of this folder, and sums them up in the line that tests/support/run.sh counts.

Usage: tests/python/run.py MODULE...
"""
import os
import sys
import unittest

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
# PX_PYTHON_PACKAGE: a folder with an installed package, in place of the sources.
sys.path[:0] = [here, os.environ.get("PX_PYTHON_PACKAGE") or os.path.join(here, "../../clients/python")]
result = unittest.TextTestRunner(sys.stdout, verbosity=2).run(unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:]))
bad = len(result.failures) + len(result.errors)
print(f"tests {result.testsRun} {result.testsRun} {result.testsRun - bad} {bad} 0")
sys.exit(not result.wasSuccessful() or result.testsRun == 0)
