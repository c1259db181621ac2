# SPDX-License-Identifier: Apache-2.0
"""Ways to a node. Each is one file or folder and one entry in registry.py."""
