# SPDX-License-Identifier: Apache-2.0
"""The case on disk: a typed record, tables as Parquet, a seal, and SQL over them."""
