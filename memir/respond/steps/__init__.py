# SPDX-License-Identifier: Apache-2.0
"""One step a file: what it changes, why, what it does not do, and how it is taken back."""
