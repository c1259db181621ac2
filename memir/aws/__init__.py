# SPDX-License-Identifier: Apache-2.0
"""AWS: the only folder that imports boto3."""
