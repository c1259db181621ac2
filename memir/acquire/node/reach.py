# SPDX-License-Identifier: Apache-2.0
"""Whether a URL answers, past any proxy. In: URL. Exit: 0 whatever it answers, else 1 with the reason."""

import sys
import urllib.error
import urllib.request


def main() -> None:
    """Ask once."""
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=10)
    except urllib.error.HTTPError:
        pass
    except (OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
