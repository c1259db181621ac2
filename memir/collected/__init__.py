# SPDX-License-Identifier: Apache-2.0
"""A collected pod as a source of tables: the folder that `memir collect pod` wrote, read again."""
