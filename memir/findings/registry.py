# SPDX-License-Identifier: Apache-2.0
"""Every detection, found by its file: one that is added touches that file, its test and the generated page."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from memir.findings.finding import Detection

FOLDER = "memir.findings.detections"


@functools.cache
def detections() -> dict[str, Detection]:
    """Detections by kind, in the order of kinds; ValueError if two have one kind."""
    known: dict[str, Detection] = {}
    for info in pkgutil.iter_modules(importlib.import_module(FOLDER).__path__, FOLDER + "."):
        detection = importlib.import_module(info.name).DETECTION
        if detection.kind in known:
            raise ValueError(f"two detections are of the kind {detection.kind}")
        known[detection.kind] = detection
    return dict(sorted(known.items()))
