// SPDX-License-Identifier: Apache-2.0
/*
 * memir-helper: what a run needs of a node, in one static program, for containers whose image has no shell.
 *
 * It is the pod's entrypoint (mounted from a Secret) and is called again by exec for each step; each call does
 * what the script of the same name in this folder does and prints the same lines, so that the controller reads
 * both alike. It writes below /dev/shm only, which the pod mounts as memory.
 *
 *   keep GRACE                       the container's first process: reaps, and ends when nobody called for GRACE s
 *   facts                            facts.sh
 *   setup RUN GRACE POLL             setup.sh: lock, directory, watchdog
 *   put PATH MODE SIZE               SIZE bytes of standard input into a new file
 *   sha256 PATH                      hex digits of a file's hash
 *   probe PROGRAM                    avml's version and help, as Avml.probe
 *   touch PATH                       heartbeat
 *   capture DIR NICE HASH PROGRAM... capture.sh: the program writes to DIR/stream, which goes to standard output
 *   abort DIR                        stops the program
 *   context before|after             before.sh, after.sh
 *   cleanup RUN                      cleanup.sh
 *
 * Exit codes are those of the scripts: 71 to 75; 64 for a wrong call.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BASE "/dev/shm"
#define KEEP BASE "/.memir-keep"
#define LOCK BASE "/.memir-lock"
#define BULK (32u << 20) /* one file of the context, as `head -c 33554432` in before.sh */
#define BLOCK (1u << 18)
#define ARRIVAL 600 /* seconds that the last bytes of a capture may take */

static void fail(int code, const char *what) {
    fprintf(stderr, "memir-helper: %s: %s\n", what, strerror(errno));
    exit(code);
}

static char *path_of(char *out, size_t size, const char *form, ...) {
    va_list list;
    va_start(list, form);
    int length = vsnprintf(out, size, form, list);
    va_end(list);
    if (length < 0 || (size_t)length >= size) {
        errno = ENAMETOOLONG;
        fail(64, form);
    }
    return out;
}

static int write_all(int fd, const void *data, size_t size) {
    const char *next = data;
    while (size) {
        ssize_t count = write(fd, next, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return -1;
        next += count;
        size -= (size_t)count;
    }
    return 0;
}

static int write_file(const char *path, const char *text, int flags) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0)
        return -1;
    int result = write_all(fd, text, strlen(text));
    return close(fd) || result ? -1 : 0;
}

/* At most size - 1 bytes of a file, NUL-terminated; -1 if it cannot be opened. */
static ssize_t read_file(const char *path, char *out, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t have = 0;
    while (have < size - 1) {
        ssize_t count = read(fd, out + have, size - 1 - have);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        have += (size_t)count;
    }
    close(fd);
    out[have] = 0;
    return (ssize_t)have;
}

static long number_in(const char *path) {
    char text[32];
    return read_file(path, text, sizeof text) > 0 ? strtol(text, NULL, 10) : 0;
}

static void nap(long milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* ---- SHA-256, FIPS 180-4 ---- */

struct sha {
    uint32_t state[8];
    uint64_t length;
    unsigned char block[64];
};

static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static void sha_begin(struct sha *sha) {
    static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(sha->state, first, sizeof first);
    sha->length = 0;
}

static uint32_t turn(uint32_t word, int bits) { return word >> bits | word << (32 - bits); }

static void sha_block(struct sha *sha, const unsigned char *data) {
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)data[4 * i] << 24 | (uint32_t)data[4 * i + 1] << 16 | (uint32_t)data[4 * i + 2] << 8 | data[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
    memcpy(s, sha->state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t one = s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + ROUND[i] + w[i];
        uint32_t two = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        sha->state[i] += s[i];
}

static void sha_add(struct sha *sha, const unsigned char *data, size_t size) {
    size_t have = sha->length % 64;
    sha->length += size;
    if (have) {
        size_t room = 64 - have, count = size < room ? size : room;
        memcpy(sha->block + have, data, count);
        data += count;
        size -= count;
        if (have + count < 64)
            return;
        sha_block(sha, sha->block);
    }
    for (; size >= 64; data += 64, size -= 64)
        sha_block(sha, data);
    memcpy(sha->block, data, size);
}

static void sha_end(struct sha *sha, char *hex) {
    uint64_t bits = sha->length * 8;
    unsigned char tail[72] = {0x80};
    size_t pad = (sha->length % 64 < 56 ? 56 : 120) - sha->length % 64;
    for (int i = 0; i < 8; i++)
        tail[pad + i] = (unsigned char)(bits >> (56 - 8 * i));
    sha_add(sha, tail, pad + 8);
    for (int i = 0; i < 8; i++)
        sprintf(hex + 8 * i, "%08x", sha->state[i]);
}

/* ---- "name base64" lines, as emit() of the scripts ---- */

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static unsigned char held[3];
static int holding;

static void base64(const unsigned char *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        held[holding++] = data[i];
        if (holding < 3)
            continue;
        putchar(DIGITS[held[0] >> 2]);
        putchar(DIGITS[(held[0] & 3) << 4 | held[1] >> 4]);
        putchar(DIGITS[(held[1] & 15) << 2 | held[2] >> 6]);
        putchar(DIGITS[held[2] & 63]);
        holding = 0;
    }
}

static void base64_flush(void) {
    if (!holding)
        return;
    unsigned char second = holding == 2 ? held[1] : 0;
    putchar(DIGITS[held[0] >> 2]);
    putchar(DIGITS[(held[0] & 3) << 4 | second >> 4]);
    putchar(holding == 2 ? DIGITS[(second & 15) << 2] : '=');
    putchar('=');
    holding = 0;
}

static void base64_end(void) {
    base64_flush();
    putchar('\n');
}

static void add_text(const char *text) { base64((const unsigned char *)text, strlen(text)); }

static void emit_text(const char *name, const char *text) {
    printf("%s ", name);
    add_text(text);
    base64_end();
}

static void add_file(const char *path, size_t most) {
    unsigned char block[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    while (most) {
        ssize_t count = read(fd, block, most < sizeof block ? most : sizeof block);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        base64(block, (size_t)count);
        most -= (size_t)count;
    }
    close(fd);
}

static void emit_file(const char *name, const char *path, size_t most) {
    printf("%s ", name);
    add_file(path, most);
    base64_end();
}

/* Lines of a file that begin with one of the words (all lines for none), each behind `prefix`. */
static void add_lines(const char *path, const char *prefix, const char *const *words) {
    char *line = NULL;
    size_t room = 0, most = 1 << 16;
    ssize_t length;
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    while (most && (length = getline(&line, &room, file)) > 0) {
        int keep = words == NULL;
        for (const char *const *word = words; word && *word; word++)
            keep |= strncmp(line, *word, strlen(*word)) == 0;
        if (!keep)
            continue;
        most -= most < (size_t)length ? most : (size_t)length;
        add_text(prefix);
        base64((unsigned char *)line, (size_t)length);
        if (line[length - 1] != '\n')
            add_text("\n");
    }
    free(line);
    fclose(file);
}

static int contains(const char *line, const char *word) { return strstr(line, word) != NULL; }

static void emit_matching(const char *name, const char *path, const char *word) {
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "re");
    printf("%s ", name);
    while (file && getline(&line, &room, file) > 0)
        if (contains(line, word))
            add_text(line);
    free(line);
    if (file)
        fclose(file);
    base64_end();
}

static void emit_clock(const char *name, const char *form) {
    struct timespec now;
    struct tm parts;
    char text[64], all[96];
    clock_gettime(CLOCK_REALTIME, &now);
    if (!form)
        sprintf(all, "%lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
    else {
        gmtime_r(&now.tv_sec, &parts);
        strftime(text, sizeof text, form, &parts);
        sprintf(all, "%s.%09ldZ\n", text, now.tv_nsec);
    }
    emit_text(name, all);
}

static int alive(long pid) { return pid > 0 && kill((pid_t)pid, 0) == 0; }

static int facts(void) {
    struct utsname name;
    char text[4096], line[4200];
    uname(&name);
    emit_text("hostname", name.nodename);
    emit_text("kernel", name.release);
    emit_text("machine", name.machine);
    sprintf(text, "%u\n", (unsigned)getuid());
    emit_text("uid", text);
    emit_clock("clock", NULL);
    emit_file("boot_id", "/proc/sys/kernel/random/boot_id", 64);
    emit_file("lockdown", "/sys/kernel/security/lockdown", 256);
    emit_file("sig_enforce", "/sys/module/module/parameters/sig_enforce", 8);
    printf("secure_boot ");
    DIR *variables = opendir("/sys/firmware/efi/efivars");
    struct dirent *entry;
    while (variables && (entry = readdir(variables)))
        if (strncmp(entry->d_name, "SecureBoot-", 11) == 0) {
            int count = (int)read_file(path_of(line, sizeof line, "/sys/firmware/efi/efivars/%s", entry->d_name), text, 64);
            for (int i = 0; i < count; i++) {
                sprintf(line, " %u", (unsigned)(unsigned char)text[i]);
                add_text(line);
            }
        }
    if (variables)
        closedir(variables);
    base64_end();
    emit_file("meminfo", "/proc/meminfo", 140); /* the first five lines */
    emit_file("swaps", "/proc/swaps", 4096);
    emit_matching("iomem", "/proc/iomem", "System RAM");
    emit_file("kcore", "/proc/kcore", 3584);
    if (access("/proc/kcore", F_OK) == 0)
        emit_text("kcore_there", "yes\n");
    emit_matching("tmpfs", "/proc/mounts", " " BASE " tmpfs ");
    /* what the scripts need of a node, which this program does itself */
    emit_text("commands", "base64\nmkfifo\nnice\nsetsid\nsha256sum\nstat\n");
    printf("running ");
    if (alive(number_in(LOCK "/pid"))) {
        if (read_file(LOCK "/run", text, sizeof text) > 0)
            add_text(text);
        if (read_file(LOCK "/since", text, sizeof text) > 0)
            add_text(text);
    }
    base64_end();
    return 0;
}

/* ---- the run's directory ---- */

static int is_name(const char *run) {
    size_t length = strlen(run);
    return length && length < 64 && strspn(run, "0123456789abcdefghijklmnopqrstuvwxyz-") == length;
}

static void remove_tree(const char *path) {
    char inner[4096];
    struct stat info;
    if (lstat(path, &info))
        return;
    if (!S_ISDIR(info.st_mode)) {
        unlink(path);
        return;
    }
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            remove_tree(path_of(inner, sizeof inner, "%s/%s", path, entry->d_name));
    if (folder)
        closedir(folder);
    rmdir(path);
}

/* Sends a signal to every process group in DIR/groups; how many there still were. */
static int kill_groups(const char *dir, int signal_number) {
    char path[512], text[4096];
    int there = 0;
    if (read_file(path_of(path, sizeof path, "%s/groups", dir), text, sizeof text) <= 0)
        return 0;
    for (char *next = text; *next;) {
        char *end;
        long group = strtol(next, &end, 10);
        if (end == next)
            break;
        if (group > 1 && kill((pid_t)-group, signal_number) == 0)
            there++;
        next = end;
    }
    return there;
}

static void stop_and_remove(const char *dir) {
    static const int signals[] = {SIGTERM, SIGKILL};
    for (int i = 0; i < 2 && kill_groups(dir, signals[i]); i++)
        nap(200);
    remove_tree(dir);
    remove_tree(LOCK);
}

static void add_group(const char *dir, pid_t group) {
    char path[512], text[32];
    sprintf(text, "%ld\n", (long)group);
    write_file(path_of(path, sizeof path, "%s/groups", dir), text, O_APPEND);
}

static void detach(void) {
    int null = open("/dev/null", O_RDWR);
    /* an output that stays open would keep the exec alive for ever */
    if (null < 0)
        null = memfd_create("null", 0);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
}

/* Removes the run when nobody has touched "alive" for GRACE seconds, counted by polls, not by the clock. */
static void watchdog(const char *dir, int grace, int poll) {
    char path[512];
    struct stat now, last = {0};
    setsid();
    detach();
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    path_of(path, sizeof path, "%s/alive", dir);
    for (int idle = 0; idle < grace; idle += poll) {
        nap(1000L * poll);
        if (stat(path, &now))
            break;
        if (now.st_mtim.tv_sec != last.st_mtim.tv_sec || now.st_mtim.tv_nsec != last.st_mtim.tv_nsec)
            idle = -poll;
        last = now;
    }
    if (access(dir, F_OK) == 0 || access(LOCK, F_OK) == 0)
        stop_and_remove(dir);
    _exit(0);
}

static int take_lock(const char *run) {
    char text[64];
    time_t now = time(NULL);
    if (mkdir(LOCK, 0700))
        return -1;
    path_of(text, sizeof text, "%s\n", run);
    write_file(LOCK "/run", text, 0);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ\n", gmtime(&now));
    write_file(LOCK "/since", text, 0);
    return 0;
}

static int setup(const char *run, int grace, int poll) {
    char dir[256], path[512], stale[64] = "", since[64] = "", text[32];
    if (!is_name(run) || grace < 1 || poll < 1)
        return 64;
    umask(077);
    if (take_lock(run)) {
        if (errno != EEXIST)
            fail(74, "cannot write to " BASE);
        /* a holder writes its watchdog's pid within moments of taking the lock */
        for (int i = 0; i < 5 && !number_in(LOCK "/pid"); i++)
            nap(1000);
        read_file(LOCK "/run", stale, sizeof stale);
        stale[strcspn(stale, "\n")] = 0;
        if (alive(number_in(LOCK "/pid"))) {
            read_file(LOCK "/since", since, sizeof since);
            fprintf(stderr, "run %s since %s", stale, since);
            return 75;
        }
        if (is_name(stale))
            remove_tree(path_of(dir, sizeof dir, BASE "/.memir-%s", stale));
        remove_tree(LOCK);
        if (take_lock(run)) {
            fprintf(stderr, "another run took the lock just now\n");
            return 75;
        }
    }
    path_of(dir, sizeof dir, BASE "/.memir-%s", run);
    if (mkdir(dir, 0700) || write_file(path_of(path, sizeof path, "%s/alive", dir), "", 0) ||
        write_file(path_of(path, sizeof path, "%s/groups", dir), "", 0)) {
        int error = errno;
        remove_tree(dir);
        remove_tree(LOCK);
        errno = error;
        fail(74, dir);
    }
    pid_t child = fork();
    if (child == 0)
        watchdog(dir, grace, poll);
    sprintf(text, "%ld\n", (long)child);
    write_file(LOCK "/pid", text, 0);
    printf("dir=%s mounted=0 lock=%s stale=%s\n", dir, LOCK, stale);
    return 0;
}

static int put(const char *path, mode_t mode, long long size) {
    static unsigned char block[BLOCK];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        fail(74, path);
    while (size > 0) {
        ssize_t count = read(0, block, size < BLOCK ? (size_t)size : BLOCK);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            errno = count ? errno : EPIPE;
            fail(74, "standard input ended early");
        }
        if (write_all(fd, block, (size_t)count))
            fail(74, path);
        size -= count;
    }
    if (fchmod(fd, mode) || close(fd))
        fail(74, path);
    return 0;
}

static int hash_file(const char *path) {
    static unsigned char block[BLOCK];
    struct sha sha;
    char hex[65];
    ssize_t count;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail(74, path);
    sha_begin(&sha);
    while ((count = read(fd, block, sizeof block)) > 0)
        sha_add(&sha, block, (size_t)count);
    if (count < 0)
        fail(74, path);
    sha_end(&sha, hex);
    printf("%s  %s\n", hex, path);
    return 0;
}

static int status_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

static int probe(const char *program) {
    const char *const words[][4] = {{program, "--version", NULL}, {program, "--help", NULL}, {program, "acquire", "--help", NULL}};
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            dup2(1, 2);
            execv(program, (char *const *)words[i]);
            _exit(127);
        }
        waitpid(child, NULL, 0);
        if (i == 0)
            (void)!write(1, "\n", 1);
    }
    return 0;
}

/* ---- the capture ---- */

static void receipt(const char *dir, int tool, int consumer, const char *hex, unsigned long long size) {
    char path[512];
    static char log[4001];
    int fd = open(path_of(path, sizeof path, "%s/tool.out", dir), O_RDONLY | O_CLOEXEC);
    ssize_t have = 0;
    if (fd >= 0) {
        off_t end = lseek(fd, 0, SEEK_END);
        have = pread(fd, log, sizeof log - 1, end > 4000 ? end - 4000 : 0);
    }
    fflush(stdout);
    /* base64() writes to standard output, which is the image's: swap the two for this one line */
    dup2(2, 1);
    printf("\nmemir-receipt {\"tool\":%d,\"consumer\":%d,\"sha256\":\"%s\",\"log\":\"", tool, consumer, hex);
    if (have > 0)
        base64((unsigned char *)log, (size_t)have);
    base64_flush();
    printf("\",\"extra\":{\"size\":%llu}}\n", size);
    fflush(stdout);
}

/*
 * Ends when the controller says that everything has arrived: it sends a byte once it has as many as the receipt says, or
 * closes. containerd closes an exec's connection when the process has ended; what lies in its and the kubelet's buffers
 * then, megabytes where the way to the controller is slow, is lost when the API server's next ping (every 5 s) finds it
 * closed and is answered by a reset.
 */
static void await_controller(void) {
    struct pollfd ready = {.fd = 0, .events = POLLIN};
    char byte;
    if (poll(&ready, 1, ARRIVAL * 1000) > 0)
        (void)!read(0, &byte, 1);
}

static int capture(const char *dir, int niceness, int hashed, char **command) {
    static unsigned char block[1 << 20];
    char hex[65] = "", text[64];
    struct sha sha;
    unsigned long long size = 0;
    int consumer = 0, status = 0, ended = 0, running = 1;
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    if (chdir(dir))
        fail(71, dir);
    unlink("stream");
    if (mkfifo("stream", 0600))
        fail(72, "stream");
    /* a reader that does not wait for a writer, and a spare writer of our own till the program has opened it */
    int in = open("stream", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int spare = open("stream", O_WRONLY | O_CLOEXEC);
    if (in < 0 || spare < 0)
        fail(72, "stream");
    fcntl(in, F_SETFL, 0);
    fcntl(in, F_SETPIPE_SZ, 1 << 20);
    fcntl(1, F_SETPIPE_SZ, 1 << 20);
    pid_t tool = fork();
    if (tool == 0) {
        int out = open("tool.out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        setsid();
        setpriority(PRIO_PROCESS, 0, niceness);
        detach();
        dup2(out, 1);
        dup2(out, 2);
        signal(SIGPIPE, SIG_DFL);
        execv(command[0], command);
        _exit(errno == ENOENT ? 127 : 126);
    }
    add_group(dir, tool);
    sprintf(text, "%ld\n", (long)tool);
    write_file("tool.pid", text, O_TRUNC);
    setpriority(PRIO_PROCESS, 0, niceness);
    sha_begin(&sha);
    for (;;) {
        /* the spare writer goes when the program has ended; what it wrote is then read to its end */
        struct pollfd ready = {.fd = in, .events = POLLIN};
        if (spare >= 0 && poll(&ready, 1, 100) == 0) {
            if (waitpid(tool, &status, WNOHANG) == tool) {
                running = 0;
                close(spare);
                spare = -1;
            }
            continue;
        }
        ssize_t count = read(in, block, sizeof block);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        if (hashed)
            sha_add(&sha, block, (size_t)count);
        size += (unsigned long long)count;
        if (write_all(1, block, (size_t)count)) {
            consumer = 128 + SIGPIPE;
            break;
        }
    }
    close(in); /* a program that still writes gets SIGPIPE */
    if (running && consumer)
        kill(-tool, SIGTERM);
    while (running && waitpid(tool, &status, 0) < 0 && errno == EINTR)
        ;
    ended = status_code(status);
    if (hashed)
        sha_end(&sha, hex);
    sprintf(text, "%d\n", ended);
    write_file("tool.rc", text, O_TRUNC);
    /* standard output stays open: containerd closes an exec's standard input when one of its outputs ends */
    (void)!dup(1);
    receipt(dir, ended, consumer, hex, size);
    await_controller();
    return ended || consumer ? 1 : 0;
}

/* ---- context ---- */

static int is_number(const char *name) { return *name && strspn(name, "0123456789") == strlen(name); }

typedef void per_process(const char *pid);

static void each_process(const char *phase, const char *name, per_process *add) {
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    printf("%s/%s ", phase, name);
    while (folder && (entry = readdir(folder)))
        if (is_number(entry->d_name))
            add(entry->d_name);
    if (folder)
        closedir(folder);
    base64_end();
}

static void add_stat(const char *pid) {
    char path[300];
    add_file(path_of(path, sizeof path, "/proc/%s/stat", pid), 4096);
}

static void add_prefixed(const char *pid, const char *file, const char *const *words) {
    char path[300], prefix[310];
    path_of(path, sizeof path, "/proc/%s/%s", pid, file);
    add_lines(path, path_of(prefix, sizeof prefix, "%s:", path), words);
}

static void add_status(const char *pid) {
    static const char *const words[] = {"Name:", "PPid:", "Uid:", "NSpid:", "CapEff:", "Seccomp:", NULL};
    add_prefixed(pid, "status", words);
}

static void add_cmdline(const char *pid) { add_prefixed(pid, "cmdline", NULL); }

static void add_cgroup(const char *pid) { add_prefixed(pid, "cgroup", NULL); }

static void add_link(const char *path) {
    char target[4096], line[8300];
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        return;
    target[length] = 0;
    add_text(path_of(line, sizeof line, "%s -> %s\n", path, target));
}

static void add_exe(const char *pid) {
    char path[300];
    add_link(path_of(path, sizeof path, "/proc/%s/exe", pid));
}

static void add_namespaces(const char *pid) {
    static const char *const kinds[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
    char path[300];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        add_link(path_of(path, sizeof path, "/proc/%s/ns/%s", pid, kinds[i]));
}

static int context(const char *phase) {
    static const struct { const char *name, *path; size_t most; } files[] = {
        {"iomem", "/proc/iomem", BULK}, {"version", "/proc/version", BULK}, {"cmdline", "/proc/cmdline", BULK},
        {"kallsyms", "/proc/kallsyms", BULK}, {"stat", "/proc/stat", BULK}, {"meminfo", "/proc/meminfo", BULK},
        {"tainted", "/proc/sys/kernel/tainted", BULK}, {"boot_id", "/proc/sys/kernel/random/boot_id", BULK},
        {"vmcoreinfo", "/sys/kernel/vmcoreinfo", BULK}, {"kcore.headers", "/proc/kcore", 65536}};
    char name[300], path[600];
    if (strcmp(phase, "before") && strcmp(phase, "after"))
        return 64;
    emit_clock(path_of(name, sizeof name, "%s/date", phase), "%Y-%m-%dT%H:%M:%S");
    emit_file(path_of(name, sizeof name, "%s/uptime", phase), "/proc/uptime", BULK);
    emit_file(path_of(name, sizeof name, "%s/mountinfo", phase), "/proc/self/mountinfo", BULK);
    each_process(phase, "processes.stat", add_stat);
    each_process(phase, "processes.status", add_status);
    each_process(phase, "processes.cmdline", add_cmdline);
    each_process(phase, "processes.cgroup", add_cgroup);
    each_process(phase, "processes.exe", add_exe);
    each_process(phase, "processes.ns", add_namespaces);
    emit_file(path_of(name, sizeof name, "%s/modules", phase), "/proc/modules", BULK);
    if (strcmp(phase, "before") == 0) {
        emit_file("before/iomem", "/proc/iomem", BULK);
        return 0;
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        emit_file(files[i].name, files[i].path, files[i].most);
    DIR *folder = opendir("/sys/kernel/btf");
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            emit_file(path_of(name, sizeof name, "btf/%s", entry->d_name),
                      path_of(path, sizeof path, "/sys/kernel/btf/%s", entry->d_name), BULK);
    if (folder)
        closedir(folder);
    return 0;
}

static int cleanup(const char *run) {
    char dir[256], holder[64] = "";
    if (!is_name(run))
        return 64;
    path_of(dir, sizeof dir, BASE "/.memir-%s", run);
    read_file(LOCK "/run", holder, sizeof holder);
    holder[strcspn(holder, "\n")] = 0;
    int mine = strcmp(holder, run) == 0;
    long pid = mine ? number_in(LOCK "/pid") : 0;
    if (mine)
        stop_and_remove(dir);
    else {
        kill_groups(dir, SIGKILL);
        remove_tree(dir);
    }
    if (pid > 1)
        kill((pid_t)-pid, SIGKILL);
    int left = access(dir, F_OK) == 0;
    printf("left=%s\n", left ? dir : "");
    return left;
}

/* ---- the container's first process ---- */

static volatile sig_atomic_t ending;

static void end(int number) {
    (void)number;
    ending = 1;
}

static int keep(int grace) {
    struct stat now, last = {0};
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    write_file(KEEP, "", O_TRUNC);
    for (int idle = 0; idle < grace && !ending; idle += 5) {
        nap(5000);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (stat(KEEP, &now) || now.st_mtim.tv_sec != last.st_mtim.tv_sec || now.st_mtim.tv_nsec != last.st_mtim.tv_nsec)
            idle = -5;
        last = now;
    }
    return 0;
}

static int touch(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || futimens(fd, NULL))
        fail(74, path);
    return close(fd);
}

int main(int count, char **words) {
    const char *verb = count > 1 ? words[1] : "";
    static char buffer[1 << 16];
    int code = 64;
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    if (strcmp(verb, "keep") == 0 && count == 3)
        return keep(atoi(words[2]));
    if (*verb)
        touch(KEEP);
    if (strcmp(verb, "facts") == 0 && count == 2)
        code = facts();
    else if (strcmp(verb, "setup") == 0 && count == 5)
        code = setup(words[2], atoi(words[3]), atoi(words[4]));
    else if (strcmp(verb, "put") == 0 && count == 5)
        code = put(words[2], (mode_t)strtol(words[3], NULL, 8), atoll(words[4]));
    else if (strcmp(verb, "sha256") == 0 && count == 3)
        code = hash_file(words[2]);
    else if (strcmp(verb, "probe") == 0 && count == 3)
        code = probe(words[2]);
    else if (strcmp(verb, "touch") == 0 && count == 3)
        code = touch(words[2]);
    else if (strcmp(verb, "capture") == 0 && count > 5)
        code = capture(words[2], atoi(words[3]), atoi(words[4]), words + 5);
    else if (strcmp(verb, "abort") == 0 && count == 3)
        code = kill_groups(words[2], SIGTERM) >= 0 ? 0 : 1;
    else if (strcmp(verb, "context") == 0 && count == 3)
        code = context(words[2]);
    else if (strcmp(verb, "cleanup") == 0 && count == 3)
        code = cleanup(words[2]);
    if (code == 64)
        fprintf(stderr, "memir-helper: wrong call; the verbs are in helper.c\n");
    return fflush(stdout) ? 74 : code;
}
