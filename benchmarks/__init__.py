# SPDX-License-Identifier: Apache-2.0
"""Benchmarks that anyone can run: python -m benchmarks.NAME."""

import os
import sys

# as an installed memir: what Python has compiled once is there the next time
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
