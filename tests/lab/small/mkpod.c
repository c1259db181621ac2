/* SPDX-License-Identifier: Apache-2.0
 * mkpod: build one Kubernetes-looking pod the way containerd+runc leave it, with no runtime.
 * usage: mkpod pod=NAME ns=NS uid=UID ip=IP cgp=PARENT pfx=PFX sfx=SFX cgver=1|2 shimcg=PATH
 *          ++ id=HEX name=pause lower=/a:/b user=65535 caps=def cmd /pause
 *          ++ id=HEX name=web ... cmd /app/server 8080
 * First container is the sandbox (new net, ipc, uts); the others join it. Each has its own pid, mnt
 * and (cgroup v2) cgroup namespace. The overlay is mounted in the host mount namespace first and
 * pivot_root'ed in the container, as runc does. Ends by exec'ing the shim, parent of all of them.
 * hostpid=1 and priv=1 leave out the pid and the cgroup namespace. plain=1: one container of no pod, as `ctr run` leaves
 * it, in the cgroup cg=PATH. vol=FROM:TO, up to four: a volume's folder on the node, made if needed. /spec/ID/{config.json,state.json.in,env} and /spec/UID/token, where they are there, are what
 * runtime and kubelet write; in state.json.in @PID@ and @START@ are replaced. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *g_pod, *g_ns, *g_uid, *g_ip, *g_cgp, *g_pfx = "", *g_sfx = "", *g_shimcg, *g_rtc = "";
static int g_v = 2, g_hostnet, g_hostpid, g_plain;
static const char *v1h[] = {"memory", "pids", "cpu,cpuacct", "systemd", 0};

static void die(const char *what) { fprintf(stderr, "mkpod %s: %s: %s\n", g_pod ? g_pod : "?", what, strerror(errno)); exit(1); }
#define CK(x) do { if ((x) < 0) die(#x); } while (0)
static void put(const char *path, const char *s, int must) {
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    if (fd < 0 || write(fd, s, strlen(s)) < 0) { if (must) die(path); }
    if (fd >= 0) close(fd);
}
static void mkdirs(const char *p) {
    char b[1024]; snprintf(b, sizeof b, "%s", p);
    for (char *s = b + 1; *s; s++) if (*s == '/') { *s = 0; mkdir(b, 0755); *s = '/'; }
    mkdir(b, 0755);
}
static char *fmt(const char *f, ...) {
    char *r; va_list a; __builtin_va_start(a, f); if (vasprintf(&r, f, a) < 0) exit(1); __builtin_va_end(a); return r;
}
static void cg_enter1(const char *base, const char *rel, int v2) {
    char b[1024]; snprintf(b, sizeof b, "%s/%s", base, rel);
    size_t bl = strlen(base);
    for (char *s = b + bl + 1; ; s++) {
        if (*s == '/' || !*s) {
            char c = *s; *s = 0;
            mkdir(b, 0755);
            *s = c;
            if (c && v2) { *s = 0; put(fmt("%s/cgroup.subtree_control", b), "+memory +pids +cpu", 0); *s = c; }
            if (!c) break;
        }
    }
    put(fmt("%s/cgroup.procs", b), "0", 1);
}
static void cg_enter(const char *rel) {
    if (g_v == 2) { put("/sys/fs/cgroup/cgroup.subtree_control", "+memory +pids +cpu", 0); cg_enter1("/sys/fs/cgroup", rel, 1); }
    else for (int i = 0; v1h[i]; i++) cg_enter1(fmt("/sys/fs/cgroup/%s", v1h[i]), rel, 0);
}
struct ctr { char *id, *name, *lower, *user, *caps, *userns, *cg, *envtext, *vol[4]; int vols; char **cmd; char *rootfs; int n, priv; pid_t pid; };
static char *slurp_proc(pid_t pid) {
    static char b[4096]; int fd = open(fmt("/proc/%d/stat", pid), O_RDONLY); CK(fd);
    int n = read(fd, b, sizeof b - 1); CK(n); b[n] = 0; close(fd); return b;
}
static char *slurp(const char *path, size_t *n) {
    int fd = open(path, O_RDONLY); if (fd < 0) return 0;
    struct stat st; CK(fstat(fd, &st)); char *b = calloc(1, st.st_size + 1);
    if (read(fd, b, st.st_size) != st.st_size) die(path);
    close(fd); if (n) *n = st.st_size; return b;
}
static char *swap(char *s, const char *from, const char *to) {
    for (char *at; (at = strstr(s, from));) { char *r = fmt("%.*s%s%s", (int)(at - s), s, to, at + strlen(from)); s = r; }
    return s;
}
static void state(struct ctr *c) { /* runc writes it once the container's first process is there */
    char *t = slurp(fmt("/spec/%s/state.json.in", c->id), 0); if (!t) return;
    char *st = slurp_proc(c->pid), *p = strrchr(st, ')') + 2; unsigned long long start = 0;
    sscanf(p, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &start);
    char *d = fmt("/run/containerd/runc/k8s.io/%s", c->id); mkdirs(d);
    put(fmt("%s/state.json", d), swap(swap(t, "@PID@", fmt("%d", c->pid)), "@START@", fmt("%llu", start)), 1);
}

static void setcaps(unsigned long long m) {
    for (int c = 0; c < 41; c++) if (!(m >> c & 1)) prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{m, m, 0}, {m >> 32, m >> 32, 0}};
    if (syscall(SYS_capset, &h, d) < 0) die("capset");
}
static void bindf(const char *src, const char *rootfs, const char *dst, int isdir, int ro) {
    char *d = fmt("%s%s", rootfs, dst);
    if (isdir) mkdirs(d);
    else { char *p = strdup(d); *strrchr(p, '/') = 0; mkdirs(p); int fd = open(d, O_CREAT | O_WRONLY, 0644); if (fd >= 0) close(fd); }
    if (mount(src, d, 0, MS_BIND | MS_REC, 0) < 0) die(d);
    if (ro) mount(0, d, 0, MS_BIND | MS_REMOUNT | MS_RDONLY, 0);
}
static void child(struct ctr *c, int sandbox, int ready) {
    cg_enter(c->cg);
    if (g_v == 2 && !c->priv) CK(unshare(CLONE_NEWCGROUP));
    CK(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
    char *r = c->rootfs;
    mkdirs(fmt("%s/proc", r)); CK(mount("proc", fmt("%s/proc", r), "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, 0));
    mkdirs(fmt("%s/dev", r)); CK(mount("tmpfs", fmt("%s/dev", r), "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
    mkdirs(fmt("%s/tmp", r)); chmod(fmt("%s/tmp", r), 01777);
    int u = umask(0); mknod(fmt("%s/dev/null", r), S_IFCHR | 0666, 0x103); umask(u);
    char *sb = fmt("/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/%s", g_rtc);
    if (!g_plain) bindf(fmt("%s/hostname", sb), r, "/etc/hostname", 0, 0);
    if (!g_plain) bindf(fmt("%s/resolv.conf", sb), r, "/etc/resolv.conf", 0, 0);
    if (!sandbox) {
        bindf(fmt("/var/lib/kubelet/pods/%s/etc-hosts", g_uid), r, "/etc/hosts", 0, 0);
        bindf(fmt("/var/lib/kubelet/pods/%s/containers/%s/0a1b2c3d", g_uid, c->name), r, "/dev/termination-log", 0, 0);
        bindf(fmt("/var/lib/kubelet/pods/%s/volumes/kubernetes.io~projected/kube-api-access-x7k2p", g_uid), r, "/var/run/secrets/kubernetes.io/serviceaccount", 1, 1);
        for (int j = 0; j < c->vols; j++) { char *to = strchr(c->vol[j], ':'); *to++ = 0; mkdirs(c->vol[j]); bindf(c->vol[j], r, to, 1, 0); }
        mkdirs(fmt("%s/sys", r)); if (mount("sysfs", fmt("%s/sys", r), "sysfs", MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, 0) == 0) {
            if (g_v == 2) mount("cgroup", fmt("%s/sys/fs/cgroup", r), "cgroup2", MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, 0);
        }
    }
    CK(chdir(r)); CK(syscall(SYS_pivot_root, ".", ".")); CK(umount2(".", MNT_DETACH)); CK(chdir("/"));
    if (sandbox && !g_hostnet && !g_plain) CK(sethostname(g_pod, strlen(g_pod)));
    setsid();
    int fd = open("/dev/null", O_RDWR); dup2(fd, 0); dup2(fd, 1); int err = fcntl(2, F_DUPFD_CLOEXEC, 50); dup2(fd, 2); if (fd > 2) close(fd);
    (void)err;
    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (!strcmp(c->caps, "def")) {
        unsigned long long m = 0xa80425fbULL;
        for (int k = 0; k < 41; k++) if (!(m >> k & 1)) prctl(PR_CAPBSET_DROP, k, 0, 0, 0);
        int id = atoi(c->user);
        if (id) { setgroups(0, 0); if (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0) die("setuid"); struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0}; struct __user_cap_data_struct d[2] = {{0}}; syscall(SYS_capset, &h, d); }
        else setcaps(m);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
    char *env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", fmt("HOSTNAME=%s", g_pod),
        "KUBERNETES_SERVICE_HOST=172.20.0.1", "KUBERNETES_SERVICE_PORT=443", fmt("POD_CONTAINER=%s", c->name),
        "AWS_ROLE_ARN=arn:aws:iam::111122223333:role/memir-test", "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/eks.amazonaws.com/serviceaccount/token", 0};
    if (sandbox) env[2] = 0, env[1] = env[0], env[0] = env[1], env[1] = 0;
    char *text = c->envtext, *lines[64]; int l = 0;
    if (text) { for (char *t = strtok(text, "\n"); t && l < 63; t = strtok(0, "\n")) lines[l++] = t; lines[l] = 0; }
    if (write(ready, "k", 1) != 1) die("ready");
    fcntl(ready, F_SETFD, FD_CLOEXEC);
    execve(strchr(c->cmd[0], '/') ? c->cmd[0] : fmt("/bin/%s", c->cmd[0]), c->cmd, text ? lines : env); die(c->cmd[0]);
}
static char *val(char *a, const char *k) { size_t n = strlen(k); return !strncmp(a, k, n) && a[n] == '=' ? a + n + 1 : 0; }
static void conf(struct ctr *c, int sandbox) {
    char *b = fmt("/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s", c->id);
    size_t size; char *v = slurp(fmt("/spec/%s/config.json", c->id), &size);
    if (!v) v = fmt("{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"%s\"]},\"root\":{\"path\":\"rootfs\"},\"hostname\":\"%s\",\"annotations\":{"
        "\"io.kubernetes.cri.container-name\":\"%s\",\"io.kubernetes.cri.container-type\":\"%s\",\"io.kubernetes.cri.sandbox-id\":\"%s\","
        "\"io.kubernetes.cri.sandbox-name\":\"%s\",\"io.kubernetes.cri.sandbox-namespace\":\"%s\",\"io.kubernetes.cri.sandbox-uid\":\"%s\"},"
        "\"linux\":{\"cgroupsPath\":\"%s:cri-containerd:%s\"}}\n", c->cmd[0], g_pod, c->name, sandbox ? "sandbox" : "container", g_rtc, g_pod, g_ns, g_uid, g_plain ? "" : strrchr(g_cgp, '/') + 1, c->id);
    put(fmt("%s/config.json", b), v, 1);
}
int main(int argc, char **argv) {
    struct ctr C[8]; int n = 0, i = 1; memset(C, 0, sizeof C);
    for (; i < argc && strcmp(argv[i], "++"); i++) {
        char *v;
        if ((v = val(argv[i], "pod"))) g_pod = v; else if ((v = val(argv[i], "ns"))) g_ns = v;
        else if ((v = val(argv[i], "uid"))) g_uid = v; else if ((v = val(argv[i], "ip"))) g_ip = v;
        else if ((v = val(argv[i], "cgp"))) g_cgp = v; else if ((v = val(argv[i], "pfx"))) g_pfx = v;
        else if ((v = val(argv[i], "sfx"))) g_sfx = v; else if ((v = val(argv[i], "cgver"))) g_v = atoi(v);
        else if ((v = val(argv[i], "shimcg"))) g_shimcg = v; else if ((v = val(argv[i], "hostnet"))) g_hostnet = atoi(v);
        else if ((v = val(argv[i], "hostpid"))) g_hostpid = atoi(v); else if ((v = val(argv[i], "plain"))) g_plain = atoi(v);
    }
    while (i < argc) {
        struct ctr *c = &C[n++]; c->user = "0"; c->caps = "def"; i++;
        for (; i < argc && strcmp(argv[i], "cmd"); i++) {
            char *v;
            if ((v = val(argv[i], "id"))) c->id = v; else if ((v = val(argv[i], "name"))) c->name = v;
            else if ((v = val(argv[i], "lower"))) c->lower = v; else if ((v = val(argv[i], "user"))) c->user = v;
            else if ((v = val(argv[i], "caps"))) c->caps = v; else if ((v = val(argv[i], "snap"))) c->n = atoi(v);
            else if ((v = val(argv[i], "priv"))) c->priv = atoi(v); else if ((v = val(argv[i], "cg"))) c->cg = v;
            else if ((v = val(argv[i], "vol")) && strchr(v, ':') && c->vols < 4) c->vol[c->vols++] = v;
        }
        c->cmd = &argv[++i]; while (i < argc && strcmp(argv[i], "++")) i++;
        if (i < argc) argv[i] = 0;  /* ends cmd; loop's i++ steps over it */
    }
    g_rtc = C[0].id;
    for (int k = 0; k < n; k++) if (!C[k].cg) C[k].cg = fmt("%s/%s%s%s", g_cgp, g_pfx, C[k].id, g_sfx);
    for (int k = 0; k < n; k++) C[k].envtext = slurp(fmt("/spec/%s/env", C[k].id), 0);
    pid_t p = fork(); if (p < 0) die("fork");
    if (p) { int st; /* parent returns once the shim has stopped itself */ waitpid(p, &st, WUNTRACED); if (WIFSTOPPED(st)) { kill(p, SIGCONT); return 0; } return 1; }
    setsid(); prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (g_shimcg) cg_enter(g_shimcg);
    char *kp = "";
    if (!g_plain) {
        char *sb = fmt("/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/%s", g_rtc); mkdirs(sb);
        put(fmt("%s/hostname", sb), fmt("%s\n", g_pod), 1); put(fmt("%s/resolv.conf", sb), "nameserver 172.20.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local\n", 1);
        kp = fmt("/var/lib/kubelet/pods/%s", g_uid); mkdirs(kp);
        put(fmt("%s/etc-hosts", kp), fmt("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n%s\t%s\n", g_ip, g_pod), 1);
        char *sa = fmt("%s/volumes/kubernetes.io~projected/kube-api-access-x7k2p", kp); mkdirs(sa);
        CK(mount("tmpfs", sa, "tmpfs", 0, "size=1048576k"));
        put(fmt("%s/namespace", sa), g_ns, 1); char *token = slurp(fmt("/spec/%s/token", g_uid), 0);
        put(fmt("%s/token", sa), token ? token : fmt("eyJhbGciOiJSUzI1NiJ9.memir-fake-token.%s", g_uid), 1);
    }
    for (int k = 0; k < n; k++) {
        struct ctr *c = &C[k]; char *b = fmt("/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s", c->id);
        c->rootfs = fmt("%s/rootfs", b); mkdirs(c->rootfs); conf(c, k == 0);
        if (k) { mkdirs(fmt("%s/containers/%s", kp, c->name)); put(fmt("%s/containers/%s/0a1b2c3d", kp, c->name), "", 1); }
        char *s = fmt("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/%d", c->n); mkdirs(fmt("%s/fs", s)); mkdirs(fmt("%s/work", s));
        if (mount("overlay", c->rootfs, "overlay", 0, fmt("lowerdir=%s,upperdir=%s/fs,workdir=%s/work", c->lower, s, s)) < 0) die("overlay");
        int rp[2], pp[2]; CK(pipe2(rp, O_CLOEXEC)); CK(pipe2(pp, O_CLOEXEC));
        pid_t h = fork(); if (h < 0) die("fork");
        if (!h) {
            int fl = (g_hostpid ? 0 : CLONE_NEWPID) | CLONE_NEWNS | CLONE_PARENT | SIGCHLD;
            if (k == 0) { fl |= CLONE_NEWIPC; if (!g_hostnet) fl |= CLONE_NEWNET | CLONE_NEWUTS; }
            else { const char *t[] = {"ipc", "net", "uts"}; for (int j = 0; j < (g_hostnet ? 1 : 3); j++) { int fd = open(fmt("/proc/%d/ns/%s", C[0].pid, t[j]), O_RDONLY | O_CLOEXEC); CK(fd); CK(setns(fd, 0)); close(fd); } }
            pid_t q = syscall(SYS_clone, fl, 0, 0, 0, 0); CK(q);
            if (!q) { child(c, k == 0, rp[1]); _exit(1); }
            if (write(pp[1], &q, sizeof q) != sizeof q) _exit(1);
            _exit(0);
        }
        close(rp[1]); close(pp[1]);
        if (read(pp[0], &c->pid, sizeof c->pid) != sizeof c->pid) die("clone helper");
        char x; if (read(rp[0], &x, 1) != 1) die("container did not start");
        close(rp[0]); close(pp[0]); waitpid(h, 0, 0);
        put(fmt("%s/init.pid", b), fmt("%d", c->pid), 1); state(c);
        if (k == 0 && !g_hostnet && !g_plain) {  /* CNI: veth pair, /32 on eth0 */
            char *hv = fmt("eni%.11s", g_uid);
            if (system(fmt("busybox ip link add %s type veth 2>/dev/null && P=$(busybox ip link | busybox sed -n 's/.* \\(veth[0-9]*\\)@%s.*/\\1/p') && busybox ip link set $P netns %d && busybox ip link set %s up && "
                "busybox nsenter -t %d -n busybox sh -c \"busybox ip link set lo up; busybox ip link set $P name eth0; busybox ip addr add %s/32 dev eth0; busybox ip link set eth0 up; busybox ip route add 169.254.1.1 dev eth0; busybox ip route add default via 169.254.1.1 dev eth0\"", hv, hv, c->pid, hv, c->pid, g_ip)))
                { fprintf(stderr, "mkpod %s: veth failed, lo only\n", g_pod); if (system(fmt("busybox nsenter -t %d -n busybox sh -c 'busybox ip link set lo up; busybox ip addr add %s/32 dev lo'", c->pid, g_ip))) {} }
        }
        if (g_plain) printf("@CONTAINER {\"id\":\"%s\",\"name\":\"%s\",\"pid\":%d,\"cgroup\":\"/%s\",\"lower\":\"%s\",\"upper\":\"%s/fs\"}\n", c->id, c->name, c->pid, c->cg, c->lower, s);
        else printf("@POD {\"pod\":\"%s\",\"ns\":\"%s\",\"uid\":\"%s\",\"ip\":\"%s\",\"container\":\"%s\",\"id\":\"%s\",\"pid\":%d,\"sandbox\":%s,\"cgroup\":\"/%s\",\"user\":%s,\"caps\":\"%s\",\"lower\":\"%s\",\"upper\":\"%s/fs\"}\n", g_pod, g_ns, g_uid, g_ip, c->name, c->id, c->pid, k ? "false" : "true", c->cg, c->user, c->caps, c->lower, s);
        fflush(stdout);
    }
    raise(SIGSTOP);
    int fd = open("/dev/null", O_RDWR); dup2(fd, 0); dup2(fd, 1); dup2(fd, 2); if (fd > 2) close(fd);
    char *a[] = {"/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", C[0].id, "-address", "/run/containerd/containerd.sock", 0}, *e[] = {"PATH=/usr/bin", 0};
    execve(a[0], a, e); die("exec shim");
}
