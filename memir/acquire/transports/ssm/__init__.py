# SPDX-License-Identifier: Apache-2.0
"""AWS Systems Manager."""
