"""What the kernel looks like: types from BTF, addresses from kallsyms, both from the image."""
