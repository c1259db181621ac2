# SPDX-License-Identifier: Apache-2.0
"""What reads the RAM on the node, and where it comes from."""
