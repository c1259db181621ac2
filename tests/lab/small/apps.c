/* SPDX-License-Identifier: Apache-2.0
 * apps: one static binary, many names (argv[0]): pause, server, client, secretd, dropper, memfdrun, api, kworkerds.
 * Nothing here spells a planted secret in clear: they are stored XOR 0x5a and decoded into the heap. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#ifndef SECRET_X
#define SECRET_X ""
#endif
#ifndef POOL_X
#define POOL_X ""
#endif
static const unsigned char sx[] = {SECRET_X 0}, pool[] = {POOL_X 0};
static void forever(void) { for (;;) pause(); }
static void *thr(void *n) { prctl(PR_SET_NAME, n); forever(); return 0; }
static void copy_self(int o) { char buf[65536]; int i = open("/proc/self/exe", O_RDONLY), n; while ((n = read(i, buf, sizeof buf)) > 0) if (write(o, buf, n) != n) _exit(1); close(i); }
static void reap(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0); }
int main(int argc, char **argv) {
    char *b = strrchr(argv[0], '/'); b = b ? b + 1 : argv[0];
    if (!strcmp(b, "server")) {
        int port = argc > 1 ? atoi(argv[1]) : 8080, one = 1, s = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0), x = socket(AF_UNIX, SOCK_STREAM, 0);
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)}; struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/tmp/app.sock"};
        setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(s, (void *)&a, sizeof a) || listen(s, 16)) return 1;
        if (bind(u, (void *)&a, sizeof a)) return 1;
        if (!bind(x, (void *)&un, sizeof un)) listen(x, 4);
        int log = open("/tmp/server.log", O_CREAT | O_RDWR | O_APPEND, 0644); dprintf(log, "server up on %d\n", port);
        pthread_t t; pthread_create(&t, 0, thr, "srv-worker");
        for (;;) { int c = accept(s, 0, 0); if (c < 0) continue; char q[64]; int k = read(c, q, sizeof q); if (k > 0 && write(c, "HTTP/1.1 200 OK\r\n\r\n", 19)) {} /* keep it open */ }
    } else if (!strcmp(b, "client")) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(argc > 2 ? atoi(argv[2]) : 8080)}; inet_aton(argc > 1 ? argv[1] : "127.0.0.1", &a.sin_addr);
        for (;;) { int c = socket(AF_INET, SOCK_STREAM, 0); if (connect(c, (void *)&a, sizeof a)) { close(c); usleep(200000); continue; } if (write(c, "GET / HTTP/1.1\r\n\r\n", 18)) {} char q[64]; if (read(c, q, 64)) {} forever(); }
    } else if (!strcmp(b, "secretd")) {
        char *h = malloc(4096); memset(h, 0, 4096); for (unsigned i = 0; i + 1 < sizeof sx; i++) h[64 + i] = sx[i] ^ 0x5a;
        char *noise = malloc(1 << 20); memset(noise, 0x41, 1 << 20);
        asm volatile("" ::"r"(h), "r"(noise) : "memory"); forever();
    } else if (!strcmp(b, "dropper")) {  /* copies itself, runs the copy, unlinks it */
        if (argc > 1) { unlink(argv[0]); forever(); }
        char buf[65536]; int i = open("/proc/self/exe", O_RDONLY), o = open("/tmp/.xmr", O_CREAT | O_WRONLY | O_TRUNC, 0755), n;
        while ((n = read(i, buf, sizeof buf)) > 0) if (write(o, buf, n) != n) return 1;
        close(i); close(o);
        /* argv[0] must end in "dropper" so that the copy knows what it is */
        char *a[] = {"/tmp/.d/dropper", "run", 0}; symlink("/tmp", "/tmp/.d"); rename("/tmp/.xmr", "/tmp/dropper"); execv(a[0], a); return 1;
    } else if (!strcmp(b, "memfdrun")) {
        if (argc > 1) { unsigned char *m = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); memcpy(m, "\x55\x48\x89\xe5MEMIR-RWX-REGION\xc3", 21); m[4096] = 0xc3; prctl(PR_SET_NAME, "kworker/u8:3"); forever(); }
        char buf[65536]; int i = open("/proc/self/exe", O_RDONLY), o = memfd_create("x", MFD_CLOEXEC), n;
        while ((n = read(i, buf, sizeof buf)) > 0) if (write(o, buf, n) != n) return 1;
        char *a[] = {"memfdrun", "run", 0}, *e[] = {0}; fexecve(o, a, e); return 1;
    } else if (!strcmp(b, "api")) {  /* card numbers and the token in its heap; two programs that an intruder left */
        char *cards = malloc(500 * 32), *token = malloc(4096); for (int i = 0; i < 500; i++) sprintf(cards + 32 * i, "card-%lld-exp-12/29", 4111111111110000LL + i);
        int f = open("/var/run/secrets/kubernetes.io/serviceaccount/token", O_RDONLY); if (read(f, token, 4095) < 0) return 1;
        signal(SIGCHLD, reap);
        if (!fork()) {  /* a deleted program that talks to a pool */
            mkdir("/tmp/.x", 0755); int o = open("/tmp/.x/kworkerds", O_CREAT | O_WRONLY, 0755); copy_self(o); close(o);
            char *url = calloc(1, sizeof pool); for (unsigned i = 0; i + 1 < sizeof pool; i++) url[i] = pool[i] ^ 0x5a;
            char *a[] = {"./kworkerds", "-o", url, 0}, *e[] = {"PATH=/bin", 0}; if (chdir("/tmp/.x")) return 1; execve(a[0], a, e); return 1;
        }
        if (!fork()) {  /* a program that was never a file */
            int o = memfd_create("kthreadd", MFD_CLOEXEC); copy_self(o);
            char *a[] = {"[kworker/u4:2]", "1000000", 0}, *e[] = {"HISTFILE=/dev/null", "C2=198.51.100.77:443", 0}; setsid(); fexecve(o, a, e); return 1;
        }
        asm volatile("" ::"r"(cards), "r"(token) : "memory"); forever();
    } else if (!strcmp(b, "kworkerds")) {
        setsid(); unlink("/tmp/.x/kworkerds"); if (chdir("/")) return 1; rmdir("/tmp/.x");
        char *h = malloc(3 << 10); memset(h, 'A', 3 << 10); memcpy(h, "XMRIG-", 6); asm volatile("" ::"r"(h) : "memory"); forever();
    } else if (!strcmp(b, "containerd")) {  /* its metadata file is open and mapped, as bbolt maps it */
        int f = open("/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db", O_RDWR); struct stat st;
        if (f >= 0 && !fstat(f, &st)) { char *m = mmap(0, st.st_size, PROT_READ, MAP_SHARED, f, 0); volatile char sum = 0; for (long i = 0; i < st.st_size; i += 4096) sum += m[i]; }
        forever();
    } else if (!strcmp(b, "entry")) {  /* init of pod B's container: starts the odd ones, then waits */
        signal(SIGCHLD, reap);
        static const char *k[] = {"/app/secretd", "/app/dropper", "/app/memfdrun"};
        for (int i = 0; i < 3; i++) if (!fork()) { execl(k[i], k[i], (char *)0); _exit(1); }
        forever();
    }
    forever(); /* pause, kubelet, containerd, shim */
}
