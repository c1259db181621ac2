# SPDX-License-Identifier: Apache-2.0
"""How a release is made: packages of equal bytes, a bill of materials, an OCI image. docs/reference/release.md."""
