/* SPDX-License-Identifier: Apache-2.0
 * attach INTERFACE: a BPF program at each place where one can be, in the image of tests/lab/recorded.py; waits for ever.
 * Says `@TOLD {"what":"attached","program":ID,"name":...,"where":...}` on descriptor 9 of each that the kernel took, in
 * the words of memir's table bpf, then closes it. A kernel that does not know a place is asked and says no. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int what, union bpf_attr *a) { return syscall(SYS_bpf, what, a, sizeof *a); }
static int load(int type, int expected, int target, int result, const char *name) {
    struct bpf_insn code[] = {{.code = 0xb7, .dst_reg = 0, .imm = result}, {.code = 0x95}};
    union bpf_attr a; memset(&a, 0, sizeof a);
    a.prog_type = type; a.expected_attach_type = expected; a.attach_btf_id = target; a.insns = (uintptr_t)code; a.insn_cnt = 2;
    a.license = (uintptr_t)"GPL"; strcpy(a.prog_name, name);
    return bpf(BPF_PROG_LOAD, &a);
}
static void told(int program, const char *how, const char *where, int fine) {
    union bpf_attr a; struct bpf_prog_info info; memset(&a, 0, sizeof a); memset(&info, 0, sizeof info);
    a.info.bpf_fd = program; a.info.info = (uintptr_t)&info; a.info.info_len = sizeof info;
    if (program < 0 || fine < 0 || bpf(BPF_OBJ_GET_INFO_BY_FD, &a)) { dprintf(9, "attach: %s %s: not on this kernel: %s\n", how, where, strerror(errno)); return; }
    dprintf(9, "@TOLD {\"what\":\"attached\",\"program\":%u,\"name\":\"%s\",\"where\":\"%s%s%s\"}\n", info.id, info.name, how, *where ? " " : "", where);
}
static int link_to(int program, int target, int type, int flags, const void *more, size_t size) {
    union bpf_attr a; memset(&a, 0, sizeof a);
    a.link_create.prog_fd = program; a.link_create.target_fd = target; a.link_create.attach_type = type; a.link_create.flags = flags;
    if (more) memcpy((char *)&a + 16, more, size);
    return bpf(BPF_LINK_CREATE, &a);
}
static struct { struct nlmsghdr h; struct tcmsg t; char data[256]; } ask;
static struct rtattr *put(int type, const void *value, int size) {
    struct rtattr *r = (void *)((char *)&ask + NLMSG_ALIGN(ask.h.nlmsg_len)); r->rta_type = type; r->rta_len = RTA_LENGTH(size);
    if (size) memcpy(RTA_DATA(r), value, size); ask.h.nlmsg_len = NLMSG_ALIGN(ask.h.nlmsg_len) + RTA_ALIGN(r->rta_len); return r;
}
static void begin(int what, int interface, unsigned parent, unsigned handle, unsigned info) {
    memset(&ask, 0, sizeof ask); ask.h.nlmsg_len = NLMSG_LENGTH(sizeof ask.t); ask.h.nlmsg_type = what;
    ask.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
    ask.t.tcm_ifindex = interface; ask.t.tcm_parent = parent; ask.t.tcm_handle = handle; ask.t.tcm_info = info;
}
static int answer(void) {
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE); char back[1024];
    if (s < 0 || send(s, &ask, ask.h.nlmsg_len, 0) < 0 || recv(s, back, sizeof back, 0) < 0) return -1;
    close(s); struct nlmsgerr *e = NLMSG_DATA((struct nlmsghdr *)back); errno = -e->error; return e->error ? -1 : 0;
}
static int filter(int interface, unsigned parent, int program, const char *name) {
    unsigned direct = 1;
    begin(RTM_NEWTFILTER, interface, parent, 0, 1u << 16 | htons(3)); put(TCA_KIND, "bpf", 4);
    struct rtattr *nest = put(TCA_OPTIONS, 0, 0); put(6, &program, 4); put(7, name, strlen(name) + 1); put(8, &direct, 4);
    nest->rta_len = (char *)&ask + ask.h.nlmsg_len - (char *)nest; return answer();
}
static long number(const char *path) { char text[32] = {0}; int fd = open(path, O_RDONLY); if (fd < 0 || read(fd, text, 31) < 0) return -1; close(fd); return atol(text); }
static int event(long type, unsigned long config, unsigned long first, unsigned long second) {
    struct perf_event_attr p; memset(&p, 0, sizeof p); p.size = sizeof p; p.type = type; p.config = config; p.config1 = first; p.config2 = second;
    if (type < 0) return -1;
    if (type == PERF_TYPE_SOFTWARE) p.sample_period = 1000000000;
    return syscall(SYS_perf_event_open, &p, -1, 0, -1, 0);
}
static int set(int perf, int program) { return perf < 0 || ioctl(perf, PERF_EVENT_IOC_SET_BPF, program) ? -1 : 0; }
static char *btf, *types, *names; static struct btf_header *head;
static void read_btf(void) {
    int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY); struct stat st; long size = 0, got; if (fd < 0 || fstat(fd, &st)) return;
    btf = malloc(st.st_size); while ((got = read(fd, btf + size, st.st_size - size)) > 0) size += got;
    head = (void *)btf; types = btf + head->hdr_len + head->type_off; names = btf + head->hdr_len + head->str_off;
}
static int number_of(int kind, const char *name, struct btf_type **found) { /* of a type in the kernel's BTF */
    int id = 1;
    for (char *at = types; btf && at < types + head->type_len; id++) {
        struct btf_type *t = (void *)at; unsigned n = BTF_INFO_VLEN(t->info), own = BTF_INFO_KIND(t->info); at += sizeof *t;
        if (own == kind && !strcmp(names + t->name_off, name)) { if (found) *found = t; return id; }
        switch (own) {
        case BTF_KIND_INT: case 14: case 17: at += 4; break; /* 14 VAR, 17 DECL_TAG */
        case BTF_KIND_ARRAY: at += 12; break;
        case BTF_KIND_STRUCT: case BTF_KIND_UNION: case 15: case 19: at += 12 * n; break; /* 15 DATASEC, 19 ENUM64 */
        case BTF_KIND_ENUM: case BTF_KIND_FUNC_PROTO: at += 8 * n; break;
        }
    }
    return -1;
}
static int function(const char *name) { return number_of(BTF_KIND_FUNC, name, 0); }
static int member(struct btf_type *t, const char *name, unsigned *offset) { /* its row among the members; offset: bytes */
    struct btf_member *m = (void *)(t + 1);
    for (int row = 0; row < BTF_INFO_VLEN(t->info); row++)
        if (!strcmp(names + m[row].name_off, name)) { *offset = (m[row].offset & 0xFFFFFF) / 8; return row; }
    return -1;
}
static int map_of(int type, unsigned key, unsigned value, unsigned entries, int value_type, int in, int flags, const char *name) {
    union bpf_attr a; memset(&a, 0, sizeof a); a.map_type = type; a.key_size = key; a.value_size = value; a.max_entries = entries; a.map_flags = flags;
    strcpy(a.map_name, name); if (value_type) { a.btf_vmlinux_value_type_id = value_type; a.btf_fd = in; }
    return bpf(BPF_MAP_CREATE, &a);
}
static unsigned id_of_map(int map) {
    union bpf_attr a; memset(&a, 0, sizeof a); struct bpf_map_info info; memset(&info, 0, sizeof info);
    a.info.bpf_fd = map; a.info.info = (uintptr_t)&info; a.info.info_len = sizeof info; bpf(BPF_OBJ_GET_INFO_BY_FD, &a); return info.id;
}
static void sockmaps(void) {
    struct { int kind, type, attach; const char *name, *how; } all[] = {
        {15, BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, "memir_message", "sockmap msg_verdict"}, {15, BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_PARSER, "memir_parser", "sockmap stream_parser"},
        {18, BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_VERDICT, "memir_verdict", "sockhash stream_verdict"}, {15, BPF_PROG_TYPE_SK_SKB, 38, "memir_skb", "sockmap skb_verdict"}};
    for (int row = 0; row < 4; row++) {
        char words[16]; union bpf_attr a; memset(&a, 0, sizeof a); int map = map_of(all[row].kind, 4, 4, 4, 0, 0, 0, "memir_socks"), program = load(all[row].type, all[row].attach == 38 ? 38 : 0, 0, 1, all[row].name);
        snprintf(words, sizeof words, "map %u", id_of_map(map)); a.target_fd = map; a.attach_bpf_fd = program; a.attach_type = all[row].attach;
        int fine = row < 3 ? -1 : link_to(program, map, 38, 0, 0, 0); if (fine < 0) fine = bpf(BPF_PROG_ATTACH, &a);
        told(program, all[row].how, words, fine);
    }
}
static void congestion(const char *called_so, int linked) { /* struct_ops: a way of TCP's to avoid congestion */
    struct { struct btf_header h; struct btf_type t; unsigned integer; char text[8]; } own = {{0xeB9F, 1, 0, sizeof own.h, 0, 16, 16, 8}, {1, BTF_KIND_INT << 24, {4}}, 32, "\0int"};
    union bpf_attr a; memset(&a, 0, sizeof a); a.btf = (uintptr_t)&own; a.btf_size = sizeof own; int in = bpf(BPF_BTF_LOAD, &a);
    struct btf_type *outer, *inner; unsigned data, place; int value = number_of(BTF_KIND_STRUCT, "bpf_struct_ops_tcp_congestion_ops", &outer), ops = number_of(BTF_KIND_STRUCT, "tcp_congestion_ops", &inner);
    if (in < 0 || value < 0 || ops < 0 || member(outer, "data", &data) < 0) { dprintf(9, "attach: struct_ops: not on this kernel: %s\n", strerror(errno)); return; }
    int map = map_of(26, 4, outer->size, 1, value, in, linked ? 1 << 13 : 0, called_so); char *bytes = calloc(1, outer->size);
    const char *each[] = {"ssthresh", "cong_avoid", "undo_cwnd"}; int programs[3], zero = 0; char words[64], called[16];
    for (int row = 0; row < 3; row++) {
        int index = member(inner, each[row], &place); snprintf(called, sizeof called, "memir_%s%.7s", linked ? "l" : "", each[row]);
        programs[row] = load(27, index, ops, 0, called); *(uint64_t *)(bytes + data + place) = programs[row];
    }
    member(inner, "name", &place); strcpy(bytes + data + place, called_so);
    memset(&a, 0, sizeof a); a.map_fd = map; a.key = (uintptr_t)&zero; a.value = (uintptr_t)bytes; int fine = bpf(BPF_MAP_UPDATE_ELEM, &a);
    if (linked && fine >= 0) fine = link_to(map, 0, 44, 0, 0, 0);
    for (int row = 0; row < 3; row++) { snprintf(words, sizeof words, "tcp_congestion_ops.%s", each[row]); told(programs[row], "struct_ops", words, fine); }
}
static void netkits(void) {
    memset(&ask, 0, sizeof ask); ask.h.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)); ask.h.nlmsg_type = RTM_NEWLINK; ask.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
    put(3, "nk0", 4); struct rtattr *info = put(18, 0, 0); put(1, "netkit", 6); struct rtattr *data = put(2, 0, 0), *peer = put(1, 0, 0); /* IFLA_NETKIT_PEER_INFO */
    ask.h.nlmsg_len += sizeof(struct ifinfomsg); put(3, "nk1", 4);
    peer->rta_len = (char *)&ask + ask.h.nlmsg_len - (char *)peer; data->rta_len = (char *)&ask + ask.h.nlmsg_len - (char *)data; info->rta_len = (char *)&ask + ask.h.nlmsg_len - (char *)info;
    int fine = answer(), first = if_nametoindex("nk0");
    int program = load(BPF_PROG_TYPE_SCHED_CLS, 54, 0, -1, "memir_netkit"); told(program, "netkit primary", "nk0", fine < 0 ? -1 : link_to(program, first, 54, 0, 0, 0));
    program = load(BPF_PROG_TYPE_SCHED_CLS, 55, 0, -1, "memir_peer"); told(program, "netkit peer", "nk1", fine < 0 ? -1 : link_to(program, first, 55, 0, 0, 0));
}
static void action(void) { /* of tc, in no filter */
    memset(&ask, 0, sizeof ask); ask.h.nlmsg_len = NLMSG_LENGTH(sizeof(struct tcamsg)); ask.h.nlmsg_type = RTM_NEWACTION; ask.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
    struct { unsigned index, capab; int action, refcnt, bindcnt; } parameters = {0, 0, -1, 0, 0}; int program = load(BPF_PROG_TYPE_SCHED_ACT, 0, 0, -1, "memir_action");
    struct rtattr *all = put(1, 0, 0), *first = put(1, 0, 0); put(1, "bpf", 4); struct rtattr *options = put(2, 0, 0);
    put(2, &parameters, sizeof parameters); put(5, &program, 4); put(6, "memir", 6);
    struct rtattr *nests[] = {options, first, all}; for (int row = 0; row < 3; row++) nests[row]->rta_len = (char *)&ask + ask.h.nlmsg_len - (char *)nests[row];
    told(program, "tc action", "1", answer());
}
__attribute__((noinline)) void called(void);
static int in_map(int map, unsigned key, const void *value) {
    union bpf_attr a; memset(&a, 0, sizeof a); a.map_fd = map; a.key = (uintptr_t)&key; a.value = (uintptr_t)value; return bpf(BPF_MAP_UPDATE_ELEM, &a);
}
static void entries(void) { /* of maps: programs that others call, or that packets meet on their way on */
    char words[32]; int program, map; struct { int first, program; } value;
    map = map_of(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 8, 0, 0, 0, "memir_calls"); program = load(BPF_PROG_TYPE_TRACEPOINT, 0, 0, 0, "memir_tail"); snprintf(words, sizeof words, "map %u", id_of_map(map));
    told(program, "prog_array", words, in_map(map, 3, &program));
    map = map_of(BPF_MAP_TYPE_DEVMAP, 4, 8, 8, 0, 0, 0, "memir_devices"); program = load(BPF_PROG_TYPE_XDP, 33, 0, 2, "memir_device"); snprintf(words, sizeof words, "map %u", id_of_map(map));
    value.first = if_nametoindex("lo"); value.program = program; told(program, "devmap", words, in_map(map, 1, &value));
    map = map_of(BPF_MAP_TYPE_DEVMAP_HASH, 4, 8, 8, 0, 0, 0, "memir_by_key"); program = load(BPF_PROG_TYPE_XDP, 33, 0, 2, "memir_hashed"); snprintf(words, sizeof words, "map %u", id_of_map(map));
    value.program = program; told(program, "devmap_hash", words, in_map(map, 77, &value));
    map = map_of(BPF_MAP_TYPE_CPUMAP, 4, 8, 8, 0, 0, 0, "memir_cpus"); program = load(BPF_PROG_TYPE_XDP, 35, 0, 2, "memir_cpu"); snprintf(words, sizeof words, "map %u", id_of_map(map));
    value.first = 64; value.program = program; told(program, "cpumap", words, in_map(map, 1, &value));
    int s = socket(AF_PACKET, SOCK_RAW, htons(3)), group = 7 << 16 | 77; struct stat st; fstat(s, &st); snprintf(words, sizeof words, "%lu", (unsigned long)st.st_ino);
    struct sockaddr_ll here = {.sll_family = AF_PACKET, .sll_protocol = htons(3), .sll_ifindex = if_nametoindex("lo")}; bind(s, (void *)&here, sizeof here);
    program = load(BPF_PROG_TYPE_SOCKET_FILTER, 0, 0, 0, "memir_fanout"); int fine = setsockopt(s, 263, 18, &group, 4); /* SOL_PACKET, PACKET_FANOUT */
    told(program, "socket fanout", words, fine < 0 ? -1 : setsockopt(s, 263, 22, &program, 4)); /* PACKET_FANOUT_DATA */
}
static void more(void) {
    char words[64]; int program, fine; union bpf_attr a;
    int s = socket(AF_INET, SOCK_DGRAM, 0), yes = 1; struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(7998)}; struct stat st;
    setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &yes, 4); bind(s, (void *)&here, sizeof here); fstat(s, &st); snprintf(words, sizeof words, "%lu", (unsigned long)st.st_ino);
    program = load(BPF_PROG_TYPE_SOCKET_FILTER, 0, 0, 0, "memir_reuse"); told(program, "socket reuseport", words, setsockopt(s, SOL_SOCKET, 52, &program, 4));
    struct { unsigned pf, hook; int priority; unsigned flags; } filter = {2, 1, -128, 0};
    program = load(32, 45, 0, 1, "memir_filter"); told(program, "netfilter ipv4", "LOCAL_IN", link_to(program, 0, 45, 0, &filter, sizeof filter));
    uint64_t offset = (uintptr_t)called - 0x400000; struct { uint64_t path, offsets, counters, cookies; unsigned count, flags, pid; } many = {(uintptr_t)"/data/attach", (uintptr_t)&offset, 0, 0, 1, 0, 0};
    snprintf(words, sizeof words, "/data/attach+0x%lx", offset);
    program = load(BPF_PROG_TYPE_KPROBE, 48, 0, 0, "memir_uprobes"); told(program, "uprobe_multi", words, link_to(program, 0, 48, 0, &many, sizeof many));
    program = load(26, 28, function("bpf_iter_task"), 0, "memir_iter"); told(program, "iter", "task", link_to(program, 0, 28, 0, 0, 0));
    sockmaps(); congestion("memir_cc", 0); congestion("memir_linked", 1); netkits(); action(); entries();
}
__attribute__((noinline)) void called(void) { __asm__ volatile("nop"); }
int main(int argc, char **argv) {
    const char *name = argv[1]; int interface = if_nametoindex(name), program, fine; char words[128]; union bpf_attr a;
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY}; setrlimit(RLIMIT_MEMLOCK, &all); /* 5.10 charges programs to it */
    read_btf();
    begin(RTM_NEWQDISC, interface, TC_H_CLSACT, TC_H_MAKE(TC_H_CLSACT, 0), 0); put(TCA_KIND, "clsact", 7); answer();
    program = load(BPF_PROG_TYPE_SCHED_CLS, 0, 0, -1, "memir_tc_in"); told(program, "tc ingress", name, filter(interface, 0xFFFFFFF2, program, "memir"));
    program = load(BPF_PROG_TYPE_SCHED_CLS, 0, 0, -1, "memir_tc_out"); told(program, "tc egress", name, filter(interface, 0xFFFFFFF3, program, "memir"));
    program = load(BPF_PROG_TYPE_SCHED_CLS, 0, 0, -1, "memir_tcx"); told(program, "tcx egress", name, link_to(program, interface, 47, 0, 0, 0));
    program = load(BPF_PROG_TYPE_SCHED_CLS, 0, 0, -1, "memir_tcx_old"); memset(&a, 0, sizeof a);
    a.target_fd = interface; a.attach_bpf_fd = program; a.attach_type = 46; told(program, "tcx ingress", name, bpf(BPF_PROG_ATTACH, &a));
    program = load(BPF_PROG_TYPE_XDP, 0, 0, 2, "memir_xdp"); told(program, "xdp", "lo", link_to(program, if_nametoindex("lo"), 37, 2, 0, 0));
    struct stat st; int net = open("/proc/self/ns/net", O_RDONLY); fstat(net, &st); snprintf(words, sizeof words, "%lu", (unsigned long)st.st_ino);
    program = load(30, 36, 0, 1, "memir_lookup"); told(program, "netns sk_lookup", words, link_to(program, net, 36, 0, 0, 0));
    program = load(BPF_PROG_TYPE_FLOW_DISSECTOR, 0, 0, 0, "memir_flow"); memset(&a, 0, sizeof a);
    a.attach_bpf_fd = program; a.attach_type = BPF_FLOW_DISSECTOR; told(program, "netns flow_dissector", words, bpf(BPF_PROG_ATTACH, &a));
    int s = socket(AF_INET, SOCK_DGRAM, 0); struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(7999)};
    bind(s, (void *)&here, sizeof here); fstat(s, &st); snprintf(words, sizeof words, "%lu", (unsigned long)st.st_ino);
    program = load(BPF_PROG_TYPE_SOCKET_FILTER, 0, 0, 65535, "memir_socket"); told(program, "socket", words, setsockopt(s, SOL_SOCKET, 50, &program, 4));
    program = load(BPF_PROG_TYPE_KPROBE, 0, 0, 0, "memir_kprobe"); fine = event(number("/sys/bus/event_source/devices/kprobe/type"), 0, (uintptr_t)"vfs_unlink", 0);
    told(program, "kprobe", "vfs_unlink", set(fine, program));
    called(); program = load(BPF_PROG_TYPE_KPROBE, 0, 0, 0, "memir_uprobe");
    fine = event(number("/sys/bus/event_source/devices/uprobe/type"), 0, (uintptr_t)"/data/attach", (uintptr_t)called - 0x400000);
    snprintf(words, sizeof words, "/data/attach+0x%lx", (unsigned long)called - 0x400000); told(program, "uprobe", words, set(fine, program));
    program = load(BPF_PROG_TYPE_TRACEPOINT, 0, 0, 0, "memir_point"); fine = event(PERF_TYPE_TRACEPOINT, number("/sys/kernel/tracing/events/sched/sched_process_exec/id"), 0, 0);
    told(program, "tracepoint", "sched_process_exec", fine < 0 ? -1 : link_to(program, fine, 41, 0, 0, 0));
    program = load(BPF_PROG_TYPE_TRACEPOINT, 0, 0, 0, "memir_call"); fine = event(PERF_TYPE_TRACEPOINT, number("/sys/kernel/tracing/events/syscalls/sys_enter_umount/id"), 0, 0);
    told(program, "tracepoint", "sys_enter_umount", set(fine, program));
    program = load(BPF_PROG_TYPE_PERF_EVENT, 0, 0, 0, "memir_clock"); told(program, "perf_event", "cpu_clock", set(event(PERF_TYPE_SOFTWARE, 0, 0, 0), program));
    program = load(BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0, 0, "memir_raw"); memset(&a, 0, sizeof a);
    a.raw_tracepoint.name = (uintptr_t)"sched_process_fork"; a.raw_tracepoint.prog_fd = program; told(program, "raw_tracepoint", "sched_process_fork", bpf(BPF_RAW_TRACEPOINT_OPEN, &a));
    program = load(26, 24, function("vfs_unlink"), 0, "memir_fentry"); memset(&a, 0, sizeof a);
    a.raw_tracepoint.prog_fd = program; told(program, "fentry", "vfs_unlink", bpf(BPF_RAW_TRACEPOINT_OPEN, &a));
    const char *both[] = {"vfs_unlink", "vfs_mkdir"}; struct { unsigned flags, count; uint64_t names, places, cookies; } many = {0, 2, (uintptr_t)both};
    program = load(BPF_PROG_TYPE_KPROBE, 42, 0, 0, "memir_many"); told(program, "kprobe_multi", "vfs_mkdir, vfs_unlink", link_to(program, 0, 42, 0, &many, sizeof many));
    more();
    close(9);
    for (;;) pause();
}
