/* SPDX-License-Identifier: Apache-2.0
 * enter: start a process somewhere else, as `kubectl exec`, nsenter and intruders do.
 * usage: enter [cg=CGROUP] [pid=PID ns=mnt,pid,net,ipc,uts,cgroup] [env=FILE] [stdin=pipe] -- COMMAND...
 * The cgroup is below /sys/fs/cgroup and is made if needed. stdin=pipe: a pipe that nobody writes to and that stays open. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static void die(const char *what) { fprintf(stderr, "enter: %s: %s\n", what, strerror(errno)); exit(1); }
int main(int argc, char **argv) {
    const char *order[] = {"cgroup", "ipc", "uts", "net", "pid", "mnt", 0};
    char *pid = 0, *ns = "", path[1024], *env[64] = {"PATH=/bin:/usr/bin", 0}; int i, fds[8], n = 0, piped = 0;
    for (i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        char *v = strchr(argv[i], '='); if (!v) return 2;
        *v++ = 0;
        if (!strcmp(argv[i], "pid")) pid = v;
        else if (!strcmp(argv[i], "ns")) ns = v;
        else if (!strcmp(argv[i], "stdin")) piped = 1;
        else if (!strcmp(argv[i], "env")) {
            static char text[8192]; int f = open(v, O_RDONLY), l = 0; if (f < 0 || read(f, text, sizeof text - 1) < 0) die(v);
            for (char *t = strtok(text, "\n"); t && l < 63; t = strtok(0, "\n")) env[l++] = t, env[l] = 0;
            close(f);
        } else if (!strcmp(argv[i], "cg")) {
            snprintf(path, sizeof path, "/sys/fs/cgroup/%s", v);
            for (char *s = path + 15; *s; s++) if (*s == '/') { *s = 0; mkdir(path, 0755); *s = '/'; }
            mkdir(path, 0755); strcat(path, "/cgroup.procs");
            int f = open(path, O_WRONLY); if (f < 0 || write(f, "0", 1) != 1) die(path);
            close(f);
        }
    }
    if (++i >= argc) return 2;
    for (int k = 0; order[k]; k++) if (strstr(ns, order[k])) {
        snprintf(path, sizeof path, "/proc/%s/ns/%s", pid, order[k]);
        if ((fds[n++] = open(path, O_RDONLY | O_CLOEXEC)) < 0) die(path);
    }
    int null = open("/dev/null", O_RDWR), pair[2]; if (piped && pipe(pair)) die("pipe");
    for (int k = 0; k < n; k++) if (setns(fds[k], 0)) die("setns");
    if (chdir("/")) die("/");
    if (fork()) return 0; /* a pid namespace counts from the next child on */
    setsid(); dup2(piped ? pair[0] : null, 0); dup2(null, 1); dup2(null, 2);
    if (!strchr(argv[i], '/')) snprintf(path, sizeof path, "/bin/%s", argv[i]); else snprintf(path, sizeof path, "%s", argv[i]);
    execve(path, argv + i, env); _exit(127);
}
