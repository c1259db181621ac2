# SPDX-License-Identifier: Apache-2.0
"""What workers do in test_fleet.py; they import it by its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from memir.hunt.fleet import Answer, hunt_image


def die_once(image: str, *rest: Any) -> Answer:
    """Ends its worker the first time it sees an image called mortal, and every time one called deadly."""
    flag = Path(image + ".died")
    if "deadly" in image or ("mortal" in image and not flag.exists()):
        flag.touch()
        os._exit(9)
    return hunt_image(image, *rest)
