# SPDX-License-Identifier: Apache-2.0
"""What an acquisition left: its folder, custody, receipt, coverage, judgement, verification. No network."""
