# SPDX-License-Identifier: Apache-2.0
"""Tables of kernel objects, one file per kernel subsystem and one per processor architecture."""
