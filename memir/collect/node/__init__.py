# SPDX-License-Identifier: Apache-2.0
"""What runs on the node, from standard input: nothing of it is written there. Python 3.6, standard library only."""
