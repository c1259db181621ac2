# SPDX-License-Identifier: Apache-2.0
"""Where the image goes: a file, S3."""
