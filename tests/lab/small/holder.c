/* SPDX-License-Identifier: Apache-2.0
 * holder: what a node holds where no table of open files and no page table shows it. tests/lab/held.sh starts it.
 * usage: holder swapon DEVICE PRIORITY | swap NAME PAGES | flight | uring | requests | vsock | ping | replaced | renamed
 * Each says `@HELD {...}` on stderr and then waits. Content of `swap`: tests/lab/held.py makes the same. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/vm_sockets.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
extern char **environ;
static void die(const char *what) { fprintf(stderr, "holder: %s: %s FAILED\n", what, strerror(errno)); exit(1); }
static void forever(void) { for (;;) pause(); }
static void fill(char *page, const char *name, unsigned i) {
    unsigned kind = i % 8, at = 0, end = 4096;
    uint64_t x = 0x9E3779B97F4A7C15ull * (i + 1);
    memset(page, 0, 4096);
    if (kind == 5) { for (unsigned w = 0; w < 512; w++) { x ^= x << 13; x ^= x >> 7; x ^= x << 17; memcpy(page + 8 * w, &x, 8); } return; }
    if (kind == 6) { x = 0x4141414141410000ull + i; for (unsigned w = 0; w < 512; w++) memcpy(page + 8 * w, &x, 8); return; }
    if (kind == 7) { at = 1024; end = 1536 + 8 * (i % 64); }
    for (unsigned line = 0; at < end; line++) {
        char text[80]; int n = snprintf(text, sizeof text, "memir-swap %s page %06u line %03u %08x\n", name, i, line, (i + 1) * 2654435761u * (line * line + 7));
        for (int c = 0; c < n && at < end; c++) page[at++] = text[c];
    }
}
static long swapped(void) {
    char line[256]; long kib = -1; FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) sscanf(line, "VmSwap: %ld", &kib);
    if (f) fclose(f);
    return kib;
}
static void *fields(const char *name, unsigned pages, int fd) {
    char *p = mmap(0, 4096ul * pages, PROT_READ | PROT_WRITE, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) die("mmap");
    madvise(p, 4096ul * pages, MADV_NOHUGEPAGE);
    for (unsigned i = 0; i < pages; i++) fill(p + 4096ul * i, name, i);
    return p;
}
static int swap(const char *name, unsigned pages) {
    char path[64]; snprintf(path, sizeof path, "/run/%s.swapped", name);
    int fd = open(path, O_CREAT | O_RDWR, 0600); if (fd < 0 || ftruncate(fd, 4096 * 32)) die(path);
    char *own = fields(name, pages, -1), *shared = fields(name, 32, fd);
    uintptr_t env = (uintptr_t)environ[0] & ~4095ul, last = env;
    for (char **e = environ; *e; e++) last = (uintptr_t)*e;
    struct stat st; fstat(fd, &st);
    for (int turn = 0; turn < 3; turn++) {
        if (madvise(own, 4096ul * pages, MADV_PAGEOUT)) die("madvise");
        madvise(shared, 4096ul * 32, MADV_PAGEOUT); madvise((void *)env, (last & ~4095ul) + 4096 - env, MADV_PAGEOUT);
        usleep(300000);
    }
    fprintf(stderr, "@HELD {\"what\":\"swap\",\"name\":\"%s\",\"pid\":%d,\"address\":%lu,\"pages\":%u,\"environ\":[%lu,%lu],\"swapped_kib\":%ld,\"file\":\"%s\",\"file_pages\":32,\"inode\":%lu}\n",
            name, getpid(), (unsigned long)own, pages, (unsigned long)env, (unsigned long)last, swapped(), path, (unsigned long)st.st_ino);
    forever(); return 0;
}
static int listener(int port) {
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1; struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)}; inet_aton("127.0.0.1", &a.sin_addr);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (void *)&a, sizeof a) || listen(s, 4)) die("listen");
    return s;
}
static unsigned long number(int fd) { struct stat st; return fstat(fd, &st) ? 0 : st.st_ino; }
static int flight(void) {
    int sv[2], udp = socket(AF_INET, SOCK_DGRAM, 0); struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7778)};
    if (bind(udp, (void *)&a, sizeof a) || socketpair(AF_UNIX, SOCK_STREAM, 0, sv)) die("socketpair");
    int fds[3] = {listener(7777), open("/run/flight.txt", O_CREAT | O_RDWR, 0600), udp};
    dprintf(fds[1], "a file in flight\n");
    char control[CMSG_SPACE(sizeof fds)] = {0}; struct iovec v = {"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m); c->cmsg_level = SOL_SOCKET; c->cmsg_type = SCM_RIGHTS; c->cmsg_len = CMSG_LEN(sizeof fds); memcpy(CMSG_DATA(c), fds, sizeof fds);
    if (sendmsg(sv[0], &m, 0) != 1) die("sendmsg");
    fprintf(stderr, "@HELD {\"what\":\"flight\",\"pid\":%d,\"tcp\":%lu,\"udp\":%lu,\"file\":%lu,\"carrier\":[%lu,%lu]}\n", getpid(), number(fds[0]), number(fds[2]), number(fds[1]), number(sv[0]), number(sv[1]));
    for (int i = 0; i < 3; i++) close(fds[i]);
    forever(); return 0;
}
static int uring(void) {
    struct io_uring_params p = {0}; int ring = syscall(SYS_io_uring_setup, 4, &p); if (ring < 0) die("io_uring_setup");
    int fds[2] = {listener(7779), open("/run/ring.txt", O_CREAT | O_RDWR, 0600)};
    if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, fds, 2) < 0) die("io_uring_register");
    fprintf(stderr, "@HELD {\"what\":\"uring\",\"pid\":%d,\"ring\":%d,\"tcp\":%lu,\"file\":%lu}\n", getpid(), ring, number(fds[0]), number(fds[1]));
    for (int i = 0; i < 2; i++) close(fds[i]);
    forever(); return 0;
}
static int requests(void) { /* an accept and a poll that wait to be woken, a splice that a worker waits in; their files are closed */
    struct io_uring_params p = {0}; int ring = syscall(SYS_io_uring_setup, 4, &p); if (ring < 0) die("io_uring_setup");
    size_t size = p.sq_off.array + 4 * p.sq_entries;
    char *sq = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *sqe = mmap(0, 4 * sizeof *sqe, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (sq == MAP_FAILED || sqe == MAP_FAILED) die("mmap of a ring");
    int in[2], out[2], udp = socket(AF_INET, SOCK_DGRAM, 0); struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7781)};
    if (bind(udp, (void *)&a, sizeof a) || pipe(in) || pipe(out)) die("pipe");
    int fds[3] = {listener(7780), udp, out[1]};
    sqe[0] = (struct io_uring_sqe){.opcode = IORING_OP_ACCEPT, .fd = fds[0]};
    sqe[1] = (struct io_uring_sqe){.opcode = IORING_OP_POLL_ADD, .fd = fds[1], .poll32_events = 1};
    sqe[2] = (struct io_uring_sqe){.opcode = IORING_OP_SPLICE, .flags = IOSQE_ASYNC, .fd = fds[2], .splice_fd_in = in[0], .splice_off_in = -1, .off = -1, .len = 1};
    for (int i = 0; i < 3; i++) ((unsigned *)(sq + p.sq_off.array))[i] = i;
    __atomic_store_n((unsigned *)(sq + p.sq_off.tail), 3, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 3, 0, 0, 0, 0) != 3) die("io_uring_enter");
    sleep(1); munmap(sq, size); munmap(sqe, 4 * sizeof *sqe); /* the worker has taken its own reference of in[0] */
    fprintf(stderr, "@HELD {\"what\":\"requests\",\"pid\":%d,\"ring\":%d,\"accept\":%lu,\"poll\":%lu,\"splice\":%lu}\n", getpid(), ring, number(fds[0]), number(fds[1]), number(fds[2]));
    for (int i = 0; i < 3; i++) close(fds[i]);
    forever(); return 0;
}
static int vsock(void) {
    int s = socket(AF_VSOCK, SOCK_STREAM, 0), c = socket(AF_VSOCK, SOCK_STREAM, 0); if (s < 0) die("vsock");
    struct sockaddr_vm a = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 5000};
    if (bind(s, (void *)&a, sizeof a) || listen(s, 4)) die("bind vsock");
    a.svm_cid = VMADDR_CID_LOCAL; socklen_t n = sizeof a; int two = -1;
    if (connect(c, (void *)&a, sizeof a) || (two = accept(s, 0, 0)) < 0) die("connect vsock");
    int later = socket(AF_VSOCK, SOCK_STREAM, 0); struct sockaddr_vm b = a; /* nobody accepts this one */
    if (connect(later, (void *)&b, sizeof b)) die("connect vsock");
    getsockname(c, (void *)&a, &n); n = sizeof b; getsockname(later, (void *)&b, &n);
    fprintf(stderr, "@HELD {\"what\":\"vsock\",\"pid\":%d,\"listener\":%lu,\"client\":%lu,\"server\":%lu,\"client_port\":%u,\"client_cid\":%u,\"later\":%lu,\"later_port\":%u}\n", getpid(), number(s), number(c), number(two), a.svm_port, a.svm_cid, number(later), b.svm_port);
    forever(); return 0;
}
static int ping(void) {
    int four = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), six = socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6); if (four < 0 || six < 0) die("ping");
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(4242)}; struct sockaddr_in6 b = {.sin6_family = AF_INET6, .sin6_port = htons(4243)};
    if (bind(four, (void *)&a, sizeof a) || bind(six, (void *)&b, sizeof b)) die("bind ping");
    inet_aton("127.0.0.1", &a.sin_addr); a.sin_port = 0; if (connect(four, (void *)&a, sizeof a)) die("connect ping");
    fprintf(stderr, "@HELD {\"what\":\"ping\",\"pid\":%d,\"four\":%lu,\"six\":%lu}\n", getpid(), number(four), number(six));
    forever(); return 0;
}
static int replaced(char **argv) { /* runs from a file that is gone, and another one lies at its path */
    if (unlink(argv[0])) die(argv[0]);
    int fd = open(argv[0], O_CREAT | O_WRONLY, 0755); dprintf(fd, "#!/bin/sh\necho harmless\n"); struct stat exe, now;
    if (stat("/proc/self/exe", &exe) || fstat(fd, &now)) die("stat");
    fprintf(stderr, "@HELD {\"what\":\"replaced\",\"pid\":%d,\"path\":\"%s\",\"exe_inode\":%lu,\"path_inode\":%lu}\n", getpid(), argv[0], (unsigned long)exe.st_ino, (unsigned long)now.st_ino);
    forever(); return 0;
}
int main(int argc, char **argv) {
    char *what = argc > 1 ? argv[1] : ""; setsid();
    if (!strcmp(what, "swapon") && argc == 4) { if (swapon(argv[2], SWAP_FLAG_PREFER | atoi(argv[3]))) die("swapon"); return 0; }
    if (!strcmp(what, "swap") && argc == 4) return swap(argv[2], atoi(argv[3]));
    if (!strcmp(what, "flight")) return flight();
    if (!strcmp(what, "uring")) return uring();
    if (!strcmp(what, "requests")) return requests();
    if (!strcmp(what, "vsock")) return vsock();
    if (!strcmp(what, "ping")) return ping();
    if (!strcmp(what, "replaced")) return replaced(argv);
    if (!strcmp(what, "renamed")) { prctl(PR_SET_NAME, "nginx"); fprintf(stderr, "@HELD {\"what\":\"renamed\",\"pid\":%d,\"args\":\"%s\"}\n", getpid(), argv[0]); forever(); }
    return 2;
}
