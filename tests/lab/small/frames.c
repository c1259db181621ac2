/* SPDX-License-Identifier: Apache-2.0
 * frames: what the kernel tells of every page frame, process and cgroup, sent to a virtio-serial port.
 * usage: frames /dev/vportNpM
 * All is read into one locked buffer, twice, so that the second reading opens only what is there already; nothing is
 * allocated in between, and the port is fed in small pieces. Sections: u32 kind, u32 number, u64 length, then the bytes,
 * padded to 8. Kinds: 1 kpageflags, 2 kpagecount, 3 kpagecgroup (u64 a frame); 4 (number: pid) smaps_rollup; 5 (pid)
 * pairs u64 address, u64 pagemap entry, of pages present or swapped; 6 inode u64, path, NUL, memory.stat; 7 (pid) comm;
 * 8 /proc/meminfo. The last, of kind 0, is `memir-frames-end`. Its reader: tests/lab/frames.py. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE (12ul << 20)
static char *buffer, text[1 << 16], path[1024], names[1 << 16];
static size_t used;
static uint64_t entries[512];

static void die(const char *what) { fprintf(stderr, "frames: %s: %s FAILED\n", what, strerror(errno)); exit(1); }
static char *room(size_t size) { if (used + size > SIZE) { errno = ENOSPC; die("buffer"); } return buffer + used; }
static size_t begin(uint32_t kind, uint32_t number) {
    used = (used + 7) & ~7ul; memset(room(16), 0, 16);
    memcpy(buffer + used, &kind, 4); memcpy(buffer + used + 4, &number, 4); used += 16; return used;
}
static void end(size_t start) { uint64_t size = used - start; memcpy(buffer + start - 8, &size, 8); }
static void drop(size_t start) { used = start - 16; }
static long whole(const char *name) {
    int fd = open(name, O_RDONLY); long got, start = used;
    if (fd < 0) return -1;
    do { size_t left = SIZE - used; if ((got = read(fd, room(1), left < 65536 ? left : 65536)) > 0) used += got; } while (got > 0);
    close(fd); return got < 0 ? -1 : (long)(used - start);
}
static void section(uint32_t kind, uint32_t number, const char *name, int must) {
    size_t start = begin(kind, number);
    if (whole(name) < 0) { if (must) die(name); drop(start); } else end(start);
}
static void process(const char *pid) {
    uint32_t number = atoi(pid);
    snprintf(path, sizeof path, "/proc/%s/maps", pid);
    int fd = open(path, O_RDONLY); long got, length = 0;
    if (fd < 0) return;
    while ((got = read(fd, text + length, sizeof text - 1 - length)) > 0) length += got;
    close(fd); text[length] = 0;
    if (!length) return; /* a thread of the kernel */
    snprintf(path, sizeof path, "/proc/%s/comm", pid); section(7, number, path, 0);
    snprintf(path, sizeof path, "/proc/%s/pagemap", pid);
    if ((fd = open(path, O_RDONLY)) < 0) return;
    size_t start = begin(5, number);
    for (char *line = text; *line;) {
        unsigned long low, high;
        if (sscanf(line, "%lx-%lx", &low, &high) == 2 && low < 1ul << 47)
            for (unsigned long at = low; at < high;) {
                size_t many = (high - at) >> 12; if (many > 512) many = 512;
                if (pread(fd, entries, many * 8, at >> 12 << 3) != (long)many * 8) break;
                for (size_t i = 0; i < many; i++) if (entries[i] >> 62) { /* present or swapped */
                    uint64_t pair[2] = {at + (i << 12), entries[i]}; memcpy(room(16), pair, 16); used += 16;
                }
                at += many << 12;
            }
        if (!(line = strchr(line, '\n'))) break;
        line++;
    }
    close(fd); end(start);
    snprintf(path, sizeof path, "/proc/%s/smaps_rollup", pid); section(4, number, path, 0);
}
static void cgroup(const char *folder) {
    struct stat st; if (stat(folder, &st)) return;
    uint64_t inode = st.st_ino; size_t start = begin(6, 0), length = strlen(folder) + 1;
    memcpy(room(8), &inode, 8); used += 8; memcpy(room(length), folder, length); used += length;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    if (whole(path) < 0) drop(start); else end(start);
    DIR *d = opendir(folder); struct dirent *e; static int depth; static char below[16][512];
    if (!d || depth == 15) die(folder);
    while ((e = readdir(d))) if (e->d_type == DT_DIR && e->d_name[0] != '.') {
        snprintf(below[depth], sizeof below[0], "%s/%s", folder, e->d_name);
        depth++; cgroup(below[depth - 1]); depth--;
    }
    closedir(d);
}
static void all(void) {
    used = 0;
    DIR *d = opendir("/proc"); struct dirent *e; char *at = names;
    if (!d) die("/proc");
    while ((e = readdir(d))) if (isdigit(e->d_name[0])) at = stpcpy(at, e->d_name) + 1;
    closedir(d); *at = 0;
    for (char *p = names; *p; p += strlen(p) + 1) process(p);
    cgroup("/sys/fs/cgroup");
    section(8, 0, "/proc/meminfo", 1);
    section(1, 0, "/proc/kpageflags", 1); section(2, 0, "/proc/kpagecount", 1); section(3, 0, "/proc/kpagecgroup", 1);
    size_t start = begin(0, 0); memcpy(room(16), "memir-frames-end", 16); used += 16; end(start);
}
int main(int argc, char **argv) {
    buffer = mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (buffer == MAP_FAILED || mlockall(MCL_CURRENT)) die("mlockall");
    int port = open(argv[1], O_WRONLY); if (port < 0) die(argv[1]);
    all(); sleep(3); all();
    for (size_t done = 0; done < used;) {
        long got = write(port, buffer + done, used - done < 4096 ? used - done : 4096);
        if (got <= 0) die(argv[1]);
        done += got;
    }
    for (;;) pause();
}
