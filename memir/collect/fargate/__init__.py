# SPDX-License-Identifier: Apache-2.0
"""A pod collected from within, where nobody reaches its node: EKS Fargate."""
