"""`python -m memir`."""

from memir.cli.main import main

main()
