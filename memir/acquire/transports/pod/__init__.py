# SPDX-License-Identifier: Apache-2.0
"""A privileged pod on the node."""
