# SPDX-License-Identifier: Apache-2.0
"""The types of the kernel's global variables that volatility3's plugins read: BTF does not carry them.

A type is written as in C: `struct list_head`, `struct printk_ringbuffer *`, `int`, `char [16]`. An array
written `[]` is as long as the gap to the next symbol allows, one written with a number at least that long: the image
tells how long (memir.symbols.isf_lengths). Where a kernel lacks the struct, the symbol has
no type.
"""

from __future__ import annotations

SYMBOL_TYPES = {
    "init_task": "struct task_struct",
    "init_mm": "struct mm_struct",
    "init_files": "struct files_struct",
    "init_fs": "struct fs_struct",
    "init_cred": "struct cred",
    "init_nsproxy": "struct nsproxy",
    "init_pid_ns": "struct pid_namespace",
    "init_net": "struct net",
    "init_user_ns": "struct user_namespace",
    "init_uts_ns": "struct uts_namespace",
    "init_ipc_ns": "struct ipc_namespace",
    "init_cgroup_ns": "struct cgroup_namespace",
    "init_css_set": "struct css_set",
    "cgrp_dfl_root": "struct cgroup_root",
    "cgroup_roots": "struct list_head",
    "cap_last_cap": "int",
    "super_blocks": "struct list_head",
    "file_systems": "struct file_system_type *",
    "net_namespace_list": "struct list_head",
    "socket_file_ops": "struct file_operations",
    "sockfs_dentry_operations": "struct dentry_operations",
    "raw_seq_ops": "struct seq_operations",
    "raw6_seq_ops": "struct seq_operations",
    "udp_seq_ops": "struct seq_operations",
    "udp6_seq_ops": "struct seq_operations",
    "tcp4_seq_ops": "struct seq_operations",
    "tcp6_seq_ops": "struct seq_operations",
    "arp_seq_ops": "struct seq_operations",
    "unix_seq_ops": "struct seq_operations",
    "packet_seq_ops": "struct seq_operations",
    "modules": "struct list_head",
    "module_kset": "struct kset *",
    "mod_tree": "struct mod_tree_root",
    "module_addr_min": "long unsigned int",
    "module_addr_max": "long unsigned int",
    "taint_flags": "struct taint_flag [18]",
    "tainted_mask": "long unsigned int",
    "log_buf": "char *",
    "log_buf_len": "unsigned int",
    "log_end": "long unsigned int",
    "prb": "struct printk_ringbuffer *",
    "tk_core": "struct tk_data",
    "iomem_resource": "struct resource",
    "prog_idr": "struct idr",
    "map_idr": "struct idr",
    "bpf_kallsyms": "struct list_head",
    "ftrace_ops_list": "struct ftrace_ops *",
    "ftrace_list_end": "struct ftrace_ops",
    "ftrace_mod_maps": "struct list_head",
    "ftrace_ops_trampoline_list": "struct list_head",
    "__start___tracepoints_ptrs": "tracepoint_ptr_t []",
    "keyboard_notifier_list": "struct atomic_notifier_head",
    "tty_drivers": "struct list_head",
    "idt_table": "struct gate_struct [256]",
    "num_registered_fb": "int",
    "registered_fb": "struct fb_info * [32]",
    "mem_section": "struct mem_section * *",
    "page_offset_base": "long unsigned int",
    "vmalloc_base": "long unsigned int",
    "vmemmap_base": "long unsigned int",
    "phys_base": "long unsigned int",
    "saved_command_line": "char *",
    "kallsyms_num_syms": "unsigned int",
    "kallsyms_markers": "unsigned int []",
    "kallsyms_names": "unsigned char []",
    "kallsyms_token_table": "char []",
    "kallsyms_token_index": "short unsigned int []",
    "kallsyms_offsets": "int []",
    "kallsyms_relative_base": "long unsigned int",
    "kallsyms_seqs_of_names": "unsigned char []",
    "linux_banner": "char []",
}
"""Symbol to the C type of the variable."""

# Linux 6.17 made tk_core the first element of an array; volatility3 asks for the old name.
SYMBOL_ALIASES = {"tk_core": "timekeeper_data"}
"""Name that volatility3 asks for, to the symbol that stands at the same place in newer kernels."""
