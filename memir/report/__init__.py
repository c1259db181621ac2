# SPDX-License-Identifier: Apache-2.0
"""Cases on disk: tables, summary, HTML."""
