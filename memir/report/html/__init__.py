# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML file: data, words and page of a case put together."""
