# SPDX-License-Identifier: Apache-2.0
"""What is taken out of RAM as files."""
