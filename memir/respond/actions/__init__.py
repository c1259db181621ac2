# SPDX-License-Identifier: Apache-2.0
"""One kind of change a file: how its state is read, brought to the goal, and restored."""
