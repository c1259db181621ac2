# SPDX-License-Identifier: Apache-2.0
"""How far memir's tables agree with what was recorded on the nodes themselves, table by table and image by image.

    python -m tests.agreement [--write]      # MEMIR_IMAGES=FOLDER:... takes more images than samples/

Prints docs/reference/agreement.md; --write writes it. Ends with 1 if a difference has no reason.
"""

from __future__ import annotations

import argparse
import sys

from tests.agreement.page import PAGE, page, unexplained
from tests.agreement.read import agreements


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    by_image = agreements()
    if options.write:
        PAGE.write_text(page(by_image))
    else:
        print(page(by_image), end="")
    wrong = unexplained(by_image)
    for line in wrong:
        print(f"not explained: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
