# SPDX-License-Identifier: Apache-2.0
"""Bytes of RAM: every format becomes one PhysicalMemory."""
