# SPDX-License-Identifier: Apache-2.0
"""Logs of a cluster and its account: one file a format, each read by SQL in DuckDB, no Python a line."""
