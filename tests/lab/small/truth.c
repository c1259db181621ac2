/* SPDX-License-Identifier: Apache-2.0
 * truth: the guest's own account of itself, one JSON object a line, on stdout. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static char buf[1 << 20];
static int slurp(const char *p) { int fd = open(p, O_RDONLY), n = 0, k; buf[0] = 0; if (fd < 0) return -1; while (n < (int)sizeof buf - 1 && (k = read(fd, buf + n, sizeof buf - 1 - n)) > 0) n += k; close(fd); buf[n] = 0; return n; }
static void js(const char *s, int n) { putchar('"'); for (int i = 0; i < n; i++) { unsigned char c = s[i]; if (c == '"' || c == '\\') printf("\\%c", c); else if (c == '\n') fputs("\\n", stdout); else if (c == '\t') fputs("\\t", stdout); else if (c < 32 || c > 126) printf("\\u%04x", c); else putchar(c); } putchar('"'); }
static void field(const char *k, const char *p) { int n = slurp(p); if (n < 0) return; printf(",\"%s\":", k); js(buf, n); }
static void lnk(const char *k, const char *p, int first) { char l[4096]; int n = readlink(p, l, sizeof l); if (!first) putchar(','); printf("\"%s\":", k); if (n < 0) fputs("null", stdout); else js(l, n); }
static char P[512];
static const char *pp(const char *pid, const char *f) { snprintf(P, sizeof P, "/proc/%s/%s", pid, f); return P; }
int main(void) {
    printf("@SYS {\"k\":1"); field("version", "/proc/version"); field("cmdline", "/proc/cmdline"); field("iomem", "/proc/iomem"); field("modules", "/proc/modules"); field("osrelease", "/proc/sys/kernel/osrelease"); field("uptime", "/proc/uptime"); field("cgroups", "/proc/cgroups"); field("meminfo", "/proc/meminfo"); field("filesystems","/proc/filesystems"); printf("}\n");
    DIR *d = opendir("/sys/kernel/btf"); struct dirent *e; struct stat st;
    printf("@BTF {\"k\":1"); while (d && (e = readdir(d))) if (e->d_name[0] != '.') { snprintf(P, sizeof P, "/sys/kernel/btf/%s", e->d_name); if (!stat(P, &st)) printf(",\"%s\":%ld", e->d_name, (long)st.st_size); } printf("}\n");
    if (d) closedir(d);
    static const char *want[] = {"_text", "_stext", "_etext", "_end", "init_task", "init_mm", "init_nsproxy", "init_css_set", "init_pid_ns", "init_net", "init_uts_ns", "init_user_ns", "init_cgroup_ns", "init_ipc_ns", "cgrp_dfl_root", "cgroup_roots", "css_set_table", "linux_banner", "__start_BTF", "__stop_BTF", "page_offset_base", "vmemmap_base", "vmalloc_base", "init_top_pgt", "swapper_pg_dir", "mount_hashtable", "init_mnt_ns", "super_blocks", "modules", "kallsyms_names", "kallsyms_token_table", "kallsyms_num_syms", "kallsyms_offsets", "kallsyms_relative_base", "net_namespace_list", "pgdir_shift", "ptrs_per_p4d", "phys_base", "file_systems", "ovl_fs_type", "ovl_super_operations", "mem_section", "vmcoreinfo_data", "high_memory", "__per_cpu_offset", "rootfs_type", "cgroup_idr", "ns_tree", "mnt_ns_tree", 0};
    FILE *f = fopen("/proc/kallsyms", "r"); char line[1024]; int cnt = 0, head = 0; printf("@SYM {\"k\":1");
    while (f && fgets(line, sizeof line, f)) { char a[32], t[4], nm[600], mod[100] = ""; int m = sscanf(line, "%31s %3s %599s %99s", a, t, nm, mod); if (m < 3) continue; cnt++; if (head++ < 5) printf(",\"head%d\":\"%s %s %s\"", head, a, t, nm); for (int i = 0; want[i]; i++) if (!strcmp(nm, want[i])) { printf(",\"%s\":\"0x%s\"", nm, a); break; } }
    printf(",\"count\":%d}\n", cnt); if (f) fclose(f);
    static const char *ns[] = {"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts", 0};
    d = opendir("/proc"); int self = getpid(); char seen[64][64]; int nseen = 0;
    while ((e = readdir(d))) {
        if (!isdigit(e->d_name[0])) continue; char *p = e->d_name;
        int n = slurp(pp(p, "stat")); if (n < 0) continue; char *cl = strrchr(buf, ')'), *op = strchr(buf, '('); int ppid = 0; char s; unsigned long long start = 0;
        sscanf(cl + 2, "%c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &s, &ppid, &start);
        printf("@PROC {\"pid\":%s,\"ppid\":%d,\"self\":%d,\"state\":\"%c\",\"start\":%llu,\"comm\":", p, ppid, atoi(p) == self, s, start); js(op + 1, cl - op - 1);
        int kth = slurp(pp(p, "maps")) <= 0;
        printf(",\"kthread\":%d,\"ns\":{", kth); for (int i = 0; ns[i]; i++) { char q[64]; snprintf(q, sizeof q, "ns/%s", ns[i]); lnk(ns[i], pp(p, q), i == 0); } printf("},"); lnk("exe", pp(p, "exe"), 1); putchar(','); lnk("cwd", pp(p, "cwd"), 1); putchar(','); lnk("root", pp(p, "root"), 1);
        field("status", pp(p, "status")); field("cgroup", pp(p, "cgroup"));
        if (!kth) {
            field("cmdline", pp(p, "cmdline")); field("environ", pp(p, "environ")); field("mountinfo", pp(p, "mountinfo")); field("maps", pp(p, "maps")); field("auxv0", "/dev/null");
            printf(",\"fds\":{"); char q[300]; snprintf(q, sizeof q, "/proc/%s/fd", p); DIR *fd = opendir(q); struct dirent *g; int first = 1; while (fd && (g = readdir(fd))) { if (g->d_name[0] == '.') continue; char r[600]; snprintf(r, sizeof r, "%s/%s", q, g->d_name); lnk(g->d_name, r, first); first = 0; } if (fd) closedir(fd); printf("},\"tids\":[");
            snprintf(q, sizeof q, "/proc/%s/task", p); fd = opendir(q); first = 1; while (fd && (g = readdir(fd))) if (isdigit(g->d_name[0])) { printf("%s%s", first ? "" : ",", g->d_name); first = 0; } if (fd) closedir(fd); printf("]");
        }
        printf("}\n");
        char l[64] = ""; n = readlink(pp(p, "ns/net"), l, 63); if (n > 0) { l[n] = 0; int k; for (k = 0; k < nseen; k++) if (!strcmp(seen[k], l)) break; if (k == nseen && nseen < 64 && !kth) { strcpy(seen[nseen++], l); printf("@NET {\"netns\":\"%s\",\"via\":%s", l, p); field("tcp", pp(p, "net/tcp")); field("tcp6", pp(p, "net/tcp6")); field("udp", pp(p, "net/udp")); field("unix", pp(p, "net/unix")); field("dev", pp(p, "net/dev")); field("fib_trie", pp(p, "net/fib_trie")); field("route", pp(p, "net/route")); printf("}\n"); } }
    }
    return 0;
}
