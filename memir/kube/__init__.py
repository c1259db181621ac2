"""From cgroup paths, namespaces and OCI specs to containers and pods."""
