# SPDX-License-Identifier: Apache-2.0
"""Findings: claims that someone acts on, each with the rows that prove it, its doubt, and what to look at next."""
