/* SPDX-License-Identifier: Apache-2.0
 * large PATH: memory and files in large pages and folios, in the image of tests/lab/recorded.py; waits for ever.
 * Anonymous memory in pages of 2 MiB, of which a child replaced one small page and gave back a quarter, and in folios of
 * 64 KiB where the kernel has them; the middle of PATH, mapped. Says `@TOLD {...}` on descriptor 9, then closes it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BIG (2ul << 20)
static void die(const char *what) { dprintf(9, "large: %s: %s FAILED\n", what, strerror(errno)); exit(1); }
static void fill(char *from, size_t size) { for (size_t i = 0; i < size; i += 4096) { strcpy(from + i, "MEMIR-LARGE"); from[i + 4095] = i >> 12; } }
int main(int argc, char **argv) {
    int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    char *area = mmap(0, 4 * BIG, prot, flags, -1, 0), *small = mmap(0, 256 << 10, prot, flags, -1, 0);
    if (area == MAP_FAILED || small == MAP_FAILED) die("mmap");
    char *anon = (char *)(((uintptr_t)area + BIG - 1) & ~(BIG - 1));
    madvise(anon, 2 * BIG, MADV_HUGEPAGE);
    fill(anon, 2 * BIG);
    fill(small, 256 << 10);
    int fd = open(argv[1], O_RDONLY); char *file = mmap(0, 1 << 20, PROT_READ, MAP_SHARED, fd, 1 << 20), sum = 0;
    if (fd < 0 || file == MAP_FAILED) die(argv[1]);
    for (size_t i = 0; i < 1 << 19; i += 4096) sum += file[i];
    pid_t child = fork();
    if (!child) {
        close(9);
        strcpy(anon + 0x5000, "MEMIR-REPLACED");
        if (munmap(anon + BIG, BIG / 4)) _exit(1);
        for (;;) pause();
    }
    sleep(1);
    dprintf(9, "@TOLD {\"what\":\"large\",\"pid\":%d,\"child\":%d,\"anonymous\":%lu,\"file\":%lu,\"sum\":%d,\"path\":\"%s\"}\n",
            getpid(), child, (unsigned long)anon, (unsigned long)file, sum, argv[1]);
    close(9);
    for (;;) pause();
}
