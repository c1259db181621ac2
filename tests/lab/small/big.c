// SPDX-License-Identifier: Apache-2.0
// init of a large node: PROCESSES sleeping processes in PODS pods' cgroups and mount namespaces, FILES files on a tmpfs.
// big processes=2000 pods=100 files=1000000 (words of the kernel's command line that it does not know); says @READY.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static long word(int argc, char **argv, const char *name, long otherwise) {
    size_t n = strlen(name);
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], name, n) && argv[i][n] == '=') return atol(argv[i] + n + 1);
    return otherwise;
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) printf("%s FAILED\n", path);
    if (fd >= 0) close(fd);
}

static void pod(long number, long processes) {
    char path[256], name[16];
    snprintf(path, sizeof path, "/sys/fs/cgroup/kubepods.slice/kubepods-pod%08lx_1111_4111_8111_0123456789ab.slice", number);
    mkdir(path, 0755);
    size_t n = strlen(path);
    snprintf(path + n, sizeof path - n, "/cri-containerd-%064lx.scope", number + 1);
    mkdir(path, 0755);
    strcat(path, "/cgroup.procs");
    if (fork()) return;
    put(path, "0");
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC)) printf("unshare FAILED\n");
    for (long i = 1; i < processes; i++)
        if (!fork()) {
            snprintf(name, sizeof name, "worker-%ld", i);
            prctl(PR_SET_NAME, name);
            for (;;) pause();
        }
    for (;;) pause();
}

int main(int argc, char **argv) {
    long processes = word(argc, argv, "processes", 2000), pods = word(argc, argv, "pods", 100);
    long files = word(argc, argv, "files", 1000000);
    char path[64];
    mkdir("/proc", 0755), mkdir("/sys", 0755), mkdir("/data", 0755), mkdir("/dev", 0755);
    mount("proc", "/proc", "proc", 0, 0), mount("sysfs", "/sys", "sysfs", 0, 0), mount("dev", "/dev", "devtmpfs", 0, 0);
    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, 0), mount("data", "/data", "tmpfs", 0, "size=60%,nr_inodes=0");
    int tty = open("/dev/ttyS0", O_RDWR);
    dup2(tty, 0), dup2(tty, 1), dup2(tty, 2);
    setvbuf(stdout, 0, _IONBF, 0);
    put("/proc/sys/kernel/printk", "1"), put("/proc/sys/kernel/pid_max", "100000");
    mkdir("/sys/fs/cgroup/kubepods.slice", 0755);
    for (long i = 0; i < pods; i++) pod(i, processes / pods);
    for (long i = 0; i < files; i++) {
        if (i % 1000 == 0) snprintf(path, sizeof path, "/data/d%06ld", i / 1000), mkdir(path, 0755);
        snprintf(path, sizeof path, "/data/d%06ld/file-%07ld", i / 1000, i);
        int fd = open(path, O_CREAT | O_WRONLY, 0644);
        if (fd < 0) { printf("%s FAILED\n", path); break; }
        close(fd);
    }
    sleep(1);
    printf("@READY processes=%ld pods=%ld files=%ld\n", processes, pods, files);
    for (;;) pause();
}
