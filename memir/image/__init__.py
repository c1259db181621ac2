"""Bytes of RAM: every format becomes one PhysicalMemory."""
