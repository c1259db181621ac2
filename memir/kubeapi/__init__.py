# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API: the only folder that imports its client."""
