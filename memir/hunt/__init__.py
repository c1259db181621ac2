# SPDX-License-Identifier: Apache-2.0
"""YARA over the whole of RAM, each hit with its owner; the only folder that imports yara."""
