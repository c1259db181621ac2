# SPDX-License-Identifier: Apache-2.0
"""What the kernel looks like: types from BTF, addresses from kallsyms, both from the image."""
