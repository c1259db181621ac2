# SPDX-License-Identifier: Apache-2.0
"""The table `log`."""

from __future__ import annotations

import numpy as np

from memir.kernel import printk_ringbuffer, timekeeping
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    time             timestamp    when it was written, UTC: the boot's time and the kernel's clock
    origin           string       kernel; other logs are to come
    sequence         int64        number of the record in its log; where one is left out, records have been lost
    level            string       emerg, alert, crit, err, warning, notice, info or debug
    facility         string       kern, user, daemon, ...
    text             string       the message, other bytes as backslash escapes; null where it is not in the image
    fields           list<string> `name=value`: caller (thread or processor), subsystem, device
    since_boot       int64        nanoseconds since boot, as dmesg shows them
    source           string       where the row comes from
""")
_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_FACILITIES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp")


def read(source: RamSource) -> Frame:
    """The kernel's log by sequence number. A user who writes to /dev/kmsg is told by the facility."""
    every = printk_ringbuffer.log(source.kernel)
    boot, _ = timekeeping.clocks(source.kernel)
    if every is None:
        return Frame({column.name: [] for column in COLUMNS})
    gaps = np.diff(every.sequence)
    lost = int((gaps - 1)[gaps > 1].sum())
    source.gaps.add("kernel log", "ring buffer", "records that have been written over", lost)
    if len(every):
        source.gaps.add("kernel log", "its start", "records that have been written over", int(every.sequence[0]))
    callers = [f"processor {-1 - value}" if value < 0 else f"thread {value}" for value in every.caller.tolist()]
    fields = [
        [
            f"{name}={value}"
            for name, value in (("caller", caller), ("subsystem", subsystem), ("device", device))
            if value
        ]
        for caller, subsystem, device in zip(callers, every.subsystem, every.device, strict=True)
    ]
    return Frame({
        "time": [None if boot is None else (boot + value) // 1000 for value in every.ns.tolist()],
        "origin": ["kernel"] * len(every),
        "sequence": every.sequence,
        "level": [_LEVELS[value & 7] for value in every.level.tolist()],
        "facility": [dict(enumerate(_FACILITIES)).get(value, str(value)) for value in every.facility.tolist()],
        "text": every.text,
        "fields": fields,
        "since_boot": every.ns,
        "source": ["printk ring buffer"] * len(every),
    })  # fmt: skip


TABLE = Table("log", "What was written down: the kernel's log.", COLUMNS, None, {"ram": read})
