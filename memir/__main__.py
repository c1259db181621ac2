# SPDX-License-Identifier: Apache-2.0
"""`python -m memir`."""

from memir.cli.main import main

main()
