# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""volatility3 as a host; the only folder, with plugins/, that imports it. Licensed VSL-1.0."""
