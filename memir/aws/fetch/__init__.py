# SPDX-License-Identifier: Apache-2.0
"""A cluster's logs from AWS, read-only: one source a file, what it gives in pieces, each a file of the destination."""
