# SPDX-License-Identifier: Apache-2.0
"""A task of ECS collected from within, by ECS Exec."""
