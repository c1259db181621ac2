# SPDX-License-Identifier: Apache-2.0
"""Forms that `memir report` writes a case in, a file each; memir.report.registry finds them."""
