# SPDX-License-Identifier: Apache-2.0
"""memir: memory incident response for Kubernetes nodes."""

__version__ = "0.1.0"
