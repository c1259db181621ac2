# SPDX-License-Identifier: Apache-2.0
"""Checkpoint archives that the kubelet has written on this node, into the stream."""

import os
import stat
from typing import Dict

from memir.collect.node.frames import Frames
from memir.collect.node.procfs import open_quietly

MAX_ARCHIVE = 1 << 40


def write_archives(frames: Frames, archives: Dict[str, str]) -> None:
    """clear/checkpoints/CONTAINER.tar of each path; a link is not followed. archives: paths by container."""
    for container in sorted(archives):
        path = archives[container]
        try:
            descriptor = open_quietly(path, flags=os.O_NOFOLLOW)
        except OSError as error:
            frames.gap("checkpoint", path, str(error.strerror), True)
            continue
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            frames.gap("checkpoint", path, "no regular file", True)
            continue
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            item = frames.item("clear/checkpoints/%s.tar" % container)
            item.facts = {"path": path}
            why = item.copy(file, MAX_ARCHIVE)
            item.close(why)
            if why:
                frames.gap("checkpoint", path, why, True)
