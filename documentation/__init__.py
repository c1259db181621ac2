# SPDX-License-Identifier: Apache-2.0
"""What makes the generated pages of docs/: commands, Python API, the picture of the architecture."""
