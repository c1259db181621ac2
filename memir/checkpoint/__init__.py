# SPDX-License-Identifier: Apache-2.0
"""Kubelet checkpoint archives: a container's processes as CRIU dumped them, and whose they are."""
