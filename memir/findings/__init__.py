# SPDX-License-Identifier: Apache-2.0
"""Detections, one per file, each with its ATT&CK technique."""
