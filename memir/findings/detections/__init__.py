# SPDX-License-Identifier: Apache-2.0
"""One detection a file; memir.findings.registry finds them by their name `DETECTION`."""
