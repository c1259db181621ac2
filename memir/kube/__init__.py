# SPDX-License-Identifier: Apache-2.0
"""From cgroup paths, namespaces and OCI specs to containers and pods."""
