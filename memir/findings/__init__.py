"""Detections, one per file, each with its ATT&CK technique."""
