/* SPDX-License-Identifier: Apache-2.0
 * acts: what pods do in the image of tests/lab/recorded.py, and what the kernel itself says of it.
 * In a pod, each saying `@TOLD {...}` on descriptor 9 and closing it, then waiting:
 *   listen PORT ACCEPTED | connect ADDRESS PORT | datagram ADDRESS PORT | flight PATH | bpf FOLDER | bash COMMAND...
 * On the node, to stdout: layer FOLDER (an overlay's upper one), programs CGROUP_FOLDER. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
static void die(const char *what) { dprintf(9, "acts: %s: %s FAILED\n", what, strerror(errno)); exit(1); }
static void told(const char *what, const char *format, ...) {
    char text[2048]; int n = snprintf(text, sizeof text, "@TOLD {\"what\":\"%s\",\"pid\":%d", what, getpid());
    va_list list; va_start(list, format); n += vsnprintf(text + n, sizeof text - n - 3, format, list); va_end(list);
    strcpy(text + n, "}\n"); if (write(9, text, n + 2) < 0) exit(1);
}
static void forever(void) { close(9); for (;;) pause(); }
static struct sockaddr_in place(const char *address, const char *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(port))}; inet_aton(address, &a.sin_addr); return a;
}
static unsigned long number(int fd) { struct stat st; return fstat(fd, &st) ? 0 : st.st_ino; }
static unsigned port(int fd) { struct sockaddr_in a; socklen_t n = sizeof a; return getsockname(fd, (void *)&a, &n) ? 0 : ntohs(a.sin_port); }
static void serve(const char *at, int accepted) {
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1; struct sockaddr_in a = place("0.0.0.0", at);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (void *)&a, sizeof a) || listen(s, 8)) die("listen");
    told("listen", ",\"port\":%s,\"inode\":%lu,\"accepts\":%d", at, number(s), accepted); close(9);
    for (; accepted > 0; accepted--) if (accept(s, 0, 0) < 0) _exit(1);
    forever();
}
static void call(const char *address, const char *at, int type) {
    int s = socket(AF_INET, type, 0); struct sockaddr_in a = place(address, at);
    if (connect(s, (void *)&a, sizeof a) || write(s, "GET / HTTP/1.1\r\n\r\n", 18) < 0) die("connect");
    told(type == SOCK_STREAM ? "connect" : "datagram", ",\"to\":\"%s\",\"port\":%s,\"inode\":%lu,\"from_port\":%u", address, at, number(s), port(s));
    forever();
}
static void flight(const char *path) {
    int pair[2], fd = open(path, O_CREAT | O_RDWR, 0600), other = socket(AF_INET, SOCK_DGRAM, 0); struct stat st;
    if (fd < 0 || write(fd, "MEMIR-IN-FLIGHT\n", 16) != 16 || fstat(fd, &st) || unlink(path)) die(path);
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)) die("socketpair");
    int fds[2] = {fd, other}; char data[64] = {0}, one = 'x'; struct iovec io = {&one, 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = data, .msg_controllen = CMSG_SPACE(sizeof fds)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m); c->cmsg_level = SOL_SOCKET; c->cmsg_type = SCM_RIGHTS; c->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    if (sendmsg(pair[0], &m, 0) < 0) die("sendmsg");
    told("flight", ",\"path\":\"%s\",\"inode\":%lu,\"size\":16,\"socket\":%lu,\"holder\":%lu", path, (unsigned long)st.st_ino, number(other), number(pair[1]));
    close(fd); close(other); forever();
}
static int bpf(int what, union bpf_attr *a) { return syscall(SYS_bpf, what, a, sizeof *a); }
static void attach(const char *folder) {
    union bpf_attr a; memset(&a, 0, sizeof a);
    a.map_type = BPF_MAP_TYPE_ARRAY; a.key_size = 4; a.value_size = 8; a.max_entries = 4; strcpy(a.map_name, "memir_seen");
    int map = bpf(BPF_MAP_CREATE, &a); if (map < 0) die("map");
    struct bpf_insn code[] = {{.code = 0x18, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map}, {0}, {.code = 0xb7, .dst_reg = 0, .imm = 1}, {.code = 0x95}};
    memset(&a, 0, sizeof a); a.prog_type = BPF_PROG_TYPE_CGROUP_SKB; a.insns = (uintptr_t)code; a.insn_cnt = 4; a.license = (uintptr_t)"GPL";
    strcpy(a.prog_name, "memir_watch"); a.expected_attach_type = BPF_CGROUP_INET_EGRESS;
    int prog = bpf(BPF_PROG_LOAD, &a), here = open(folder, O_RDONLY | O_DIRECTORY); if (prog < 0 || here < 0) die("program");
    memset(&a, 0, sizeof a); a.target_fd = here; a.attach_bpf_fd = prog; a.attach_type = BPF_CGROUP_INET_EGRESS; a.attach_flags = BPF_F_ALLOW_MULTI;
    if (bpf(BPF_PROG_ATTACH, &a)) die("attach");
    /* a second one by a link, which goes with the process */
    memset(&a, 0, sizeof a); a.prog_type = BPF_PROG_TYPE_CGROUP_SKB; a.insns = (uintptr_t)(code + 2); a.insn_cnt = 2; a.license = (uintptr_t)"GPL"; strcpy(a.prog_name, "memir_link");
    a.expected_attach_type = BPF_CGROUP_INET_INGRESS; int second = bpf(BPF_PROG_LOAD, &a); if (second < 0) die("second program");
    memset(&a, 0, sizeof a); a.link_create.prog_fd = second; a.link_create.target_fd = here; a.link_create.attach_type = BPF_CGROUP_INET_INGRESS;
    if (bpf(BPF_LINK_CREATE, &a) < 0) die("link");
    told("bpf", ",\"folder\":\"%s\"", folder); close(here); forever();
}
static void ids(int next, const char *kind, int open_it) {
    for (unsigned id = 0;;) {
        union bpf_attr a; memset(&a, 0, sizeof a); a.start_id = id; if (bpf(next, &a)) return;
        id = a.next_id; memset(&a, 0, sizeof a); a.prog_id = id; int fd = bpf(open_it, &a); if (fd < 0) continue;
        static union { struct bpf_prog_info prog; struct bpf_map_info map; struct bpf_link_info link; } info; unsigned maps[8];
        memset(&info, 0, sizeof info); if (open_it == BPF_PROG_GET_FD_BY_ID) info.prog.nr_map_ids = 8, info.prog.map_ids = (uintptr_t)maps;
        memset(&a, 0, sizeof a); a.info.bpf_fd = fd; a.info.info = (uintptr_t)&info; a.info.info_len = sizeof info;
        if (bpf(BPF_OBJ_GET_INFO_BY_FD, &a)) die("info");
        printf("@BPF {\"kind\":\"%s\",\"id\":%u", kind, id);
        if (open_it == BPF_PROG_GET_FD_BY_ID) {
            printf(",\"type\":%u,\"name\":\"%s\",\"uid\":%u,\"since_boot\":%llu,\"tag\":\"", info.prog.type, info.prog.name, info.prog.created_by_uid, (unsigned long long)info.prog.load_time);
            for (int i = 0; i < 8; i++) printf("%02x", info.prog.tag[i]);
            printf("\",\"maps\":["); for (unsigned i = 0; i < info.prog.nr_map_ids; i++) printf("%s%u", i ? "," : "", maps[i]); printf("]");
        } else if (open_it == BPF_MAP_GET_FD_BY_ID) printf(",\"type\":%u,\"name\":\"%s\"", info.map.type, info.map.name);
        else printf(",\"type\":%u,\"program\":%u,\"cgroup\":%llu", info.link.type, info.link.prog_id, (unsigned long long)info.link.cgroup.cgroup_id);
        printf("}\n"); close(fd);
    }
}
static void attached(const char *folder) {
    int here = open(folder, O_RDONLY | O_DIRECTORY); if (here < 0) return;
    for (int type = 0; type < 50; type++) {
        if (type == 46 || type == 47) continue; /* tcx: of an interface of that number */
        union bpf_attr a; unsigned found[8]; memset(&a, 0, sizeof a); a.query.target_fd = here; a.query.attach_type = type; a.query.prog_ids = (uintptr_t)found; a.query.prog_cnt = 8;
        if (bpf(BPF_PROG_QUERY, &a)) continue;
        for (unsigned i = 0; i < a.query.prog_cnt; i++) printf("@BPF {\"kind\":\"attached\",\"id\":%u,\"type\":%d,\"cgroup\":\"%s\"}\n", found[i], type, folder + strlen("/sys/fs/cgroup"));
    }
    DIR *d = fdopendir(here); struct dirent *e; char path[1024];
    while ((e = readdir(d))) if (e->d_type == DT_DIR && e->d_name[0] != '.') { snprintf(path, sizeof path, "%s/%s", folder, e->d_name); attached(path); }
    closedir(d);
}
static void layer(const char *folder, const char *below) {
    char path[2048], name[2048], value[8]; snprintf(path, sizeof path, "%s/%s", folder, below);
    DIR *d = opendir(path); struct dirent *e; struct stat st; if (!d) return;
    while ((e = readdir(d))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        snprintf(name, sizeof name, "%s%s%s", below, *below ? "/" : "", e->d_name); snprintf(path, sizeof path, "%s/%s", folder, name);
        if (lstat(path, &st)) die(path);
        const char *kind = S_ISDIR(st.st_mode) ? "directory" : S_ISREG(st.st_mode) ? "regular" : S_ISCHR(st.st_mode) ? "char" : S_ISLNK(st.st_mode) ? "symlink" : "other";
        int opaque = lgetxattr(path, "trusted.overlay.opaque", value, sizeof value) == 1 && *value == 'y';
        printf("@LAYER {\"upper\":\"%s\",\"path\":\"/%s\",\"kind\":\"%s\",\"mode\":%u,\"device\":%lu,\"size\":%ld,\"inode\":%lu,\"mtime\":%ld,\"opaque\":%s}\n", folder, name, kind,
            st.st_mode & 07777, (unsigned long)st.st_rdev, (long)st.st_size, (unsigned long)st.st_ino, (long)st.st_mtime, opaque ? "true" : "false");
        if (S_ISDIR(st.st_mode)) { char *copy = strdup(name); layer(folder, copy); free(copy); }
    }
    closedir(d);
}
static void typed(int count, char **commands) {
    mkdir("/dev/pts", 0755);
    if (mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620")) die("devpts");
    int master = open("/dev/pts/ptmx", O_RDWR | O_CLOEXEC), zero = 0; char slave[64]; unsigned n;
    if (master < 0 || ioctl(master, 0x40045431 /* TIOCSPTLCK */, &zero) || ioctl(master, 0x80045430 /* TIOCGPTN */, &n)) die("ptmx");
    snprintf(slave, sizeof slave, "/dev/pts/%u", n);
    pid_t shell = fork();
    if (!shell) {
        close(9); setsid(); int fd = open(slave, O_RDWR); for (int i = 0; i < 3; i++) dup2(fd, i); if (fd > 2) close(fd);
        char *env[] = {"PATH=/usr/bin:/bin", "HOME=/root", "TERM=xterm", 0}, *args[] = {"bash", 0}; execve("/bin/bash", args, env); _exit(127);
    }
    told("shell", ",\"shell\":%d", shell);
    fcntl(master, F_SETFL, O_NONBLOCK); char sink[4096];
    sleep(2);
    for (int i = 0; i < count; i++) {
        struct timeval now; gettimeofday(&now, 0); dprintf(master, "%s\r", commands[i]);
        told("command", ",\"shell\":%d,\"number\":%d,\"time\":%ld", shell, i, (long)now.tv_sec);
        sleep(1); while (read(master, sink, sizeof sink) > 0);
    }
    forever();
}
int main(int argc, char **argv) {
    const char *what = argc > 2 ? argv[1] : "";
    if (!strcmp(what, "listen")) serve(argv[2], atoi(argv[3]));
    if (!strcmp(what, "connect")) call(argv[2], argv[3], SOCK_STREAM);
    if (!strcmp(what, "datagram")) call(argv[2], argv[3], SOCK_DGRAM);
    if (!strcmp(what, "flight")) flight(argv[2]);
    if (!strcmp(what, "bpf")) attach(argv[2]);
    if (!strcmp(what, "bash")) typed(argc - 2, argv + 2);
    if (!strcmp(what, "layer")) layer(argv[2], "");
    if (!strcmp(what, "programs")) {
        ids(BPF_PROG_GET_NEXT_ID, "program", BPF_PROG_GET_FD_BY_ID); ids(BPF_MAP_GET_NEXT_ID, "map", BPF_MAP_GET_FD_BY_ID);
        ids(BPF_LINK_GET_NEXT_ID, "link", BPF_LINK_GET_FD_BY_ID); attached(argv[2]);
    }
    return 0;
}
