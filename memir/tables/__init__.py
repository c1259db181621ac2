# SPDX-License-Identifier: Apache-2.0
"""One file a table: its columns, and how each kind of source is read."""
