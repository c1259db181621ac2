# SPDX-License-Identifier: Apache-2.0
"""S3: through the controller or from the node itself."""
