/*
 * Makes the n-th file operation of a process fail or kill it. Loaded with LD_PRELOAD.
 *
 * Operations are caught as system calls, by a seccomp filter that turns them into SIGSYS: whoever
 * makes the call, be it the C library, C++ or a raw system call of Rust, it has the same number in
 * the same count. Only calls on files below FI_DIR count. Threads share the count.
 *
 *   FI_DIR   absolute path of the store
 *   FI_MASK  which calls count: 1 writes, 2 syncs, 4 names (rename, unlink, mkdir, creating a file),
 *            8 lengths (truncate, allocate), 16 reads
 *   FI_AT    the call that is hit, from 1; 0 only counts
 *   FI_ACT   K kill before the call, A kill after it, T make half of a write and kill,
 *            E fail with EIO, S fail with ENOSPC
 *   FI_LAST  1: all calls from FI_AT on are hit (E and S)
 *
 * Says on standard output "fired NUMBER CALL PATH" before it acts, and "total COUNT" at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>

enum { WRITES = 1, SYNCS = 2, NAMES = 4, LENGTHS = 8, READS = 16 };

/* The one place whose system calls the filter lets pass: it knows it by its address. */
long gate(long nr, long a, long b, long c, long d, long e);
extern char gate_end[];
#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
__asm__(".text\n.globl gate\n.hidden gate\n.hidden gate_end\n.globl gate_end\ngate:\n"
        "mov %rdi,%rax\nmov %rsi,%rdi\nmov %rdx,%rsi\nmov %rcx,%rdx\nmov %r8,%r10\nmov %r9,%r8\n"
        "xor %r9,%r9\nsyscall\ngate_end:\nret\n");
#define ARGS(c) { (c)->uc_mcontext.gregs[REG_RDI], (c)->uc_mcontext.gregs[REG_RSI], \
    (c)->uc_mcontext.gregs[REG_RDX], (c)->uc_mcontext.gregs[REG_R10], (c)->uc_mcontext.gregs[REG_R8] }
#define RESULT(c) (c)->uc_mcontext.gregs[REG_RAX]
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
__asm__(".text\n.globl gate\n.hidden gate\n.hidden gate_end\n.globl gate_end\ngate:\n"
        "mov x8,x0\nmov x0,x1\nmov x1,x2\nmov x2,x3\nmov x3,x4\nmov x4,x5\nmov x5,xzr\n"
        "svc #0\ngate_end:\nret\n");
#define ARGS(c) { (long)(c)->uc_mcontext.regs[0], (long)(c)->uc_mcontext.regs[1], \
    (long)(c)->uc_mcontext.regs[2], (long)(c)->uc_mcontext.regs[3], (long)(c)->uc_mcontext.regs[4] }
#define RESULT(c) (c)->uc_mcontext.regs[0]
#else
#error "this shim knows x86_64 and aarch64"
#endif

static const struct call { int nr; int group; const char *name; } calls[] = {
    { SYS_write, WRITES, "write" },
    { SYS_pwrite64, WRITES, "pwrite" },
    { SYS_writev, WRITES, "writev" },
    { SYS_pwritev, WRITES, "pwritev" },
    { SYS_pwritev2, WRITES, "pwritev2" },
    { SYS_fsync, SYNCS, "fsync" },
    { SYS_fdatasync, SYNCS, "fdatasync" },
    { SYS_sync_file_range, SYNCS, "sync_file_range" },
#ifdef SYS_rename
    { SYS_rename, NAMES, "rename" },
    { SYS_unlink, NAMES, "unlink" },
    { SYS_mkdir, NAMES, "mkdir" },
    { SYS_rmdir, NAMES, "rmdir" },
    { SYS_open, NAMES, "open" },
    { SYS_link, NAMES, "link" },
#endif
    { SYS_renameat, NAMES, "renameat" },
    { SYS_renameat2, NAMES, "renameat2" },
    { SYS_unlinkat, NAMES, "unlinkat" },
    { SYS_mkdirat, NAMES, "mkdirat" },
    { SYS_linkat, NAMES, "linkat" },
    { SYS_openat, NAMES, "openat" },
    { SYS_ftruncate, LENGTHS, "ftruncate" },
    { SYS_fallocate, LENGTHS, "fallocate" },
    { SYS_pread64, READS, "pread" },
    { SYS_read, READS, "read" },
};
enum { CALLS = sizeof calls / sizeof calls[0] };

static char dir[4096];
static size_t dir_len;
static long mask, at, last;
static char act;
static atomic_long count;

static int below_dir(const char *path)
{
    return strncmp(path, dir, dir_len) == 0 && (path[dir_len] == 0 || path[dir_len] == '/');
}

static char *put_number(char *to, unsigned long n)
{
    char digits[24];
    int k = 0;
    do digits[k++] = (char)('0' + n % 10); while (n /= 10);
    while (k) *to++ = digits[--k];
    return to;
}

static void say(const char *word, unsigned long n, const char *name, const char *path)
{
    /* One write, so that lines of other threads do not come in between. */
    char line[512], *end = line;
    end = stpcpy(end, word);
    end = put_number(end, n);
    if (name) {
        *end++ = ' ';
        end = stpcpy(end, name);
        *end++ = ' ';
        size_t len = strnlen(path, 300);
        memcpy(end, path, len);
        end += len;
    }
    *end++ = '\n';
    gate(SYS_write, 1, (long)line, end - line, 0, 0);
}

static int fd_path(long fd, char *path, size_t len)
{
    char link[64];
    char *end = stpcpy(link, "/proc/self/fd/");
    *put_number(end, (unsigned long)fd) = 0;
    long have = gate(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, (long)len - 1, 0);
    if (have < 0) return 0;
    path[have] = 0;
    return 1;
}

static void die(void)
{
    gate(SYS_kill, gate(SYS_getpid, 0, 0, 0, 0, 0), SIGKILL, 0, 0, 0);
    for (;;) gate(SYS_sched_yield, 0, 0, 0, 0, 0);
}

/* Makes the first half of a write. */
static void half(const struct call *call, const long *a)
{
    const struct iovec *parts = (const struct iovec *)a[1];
    switch (call->nr) {
    case SYS_write: gate(SYS_write, a[0], a[1], a[2] / 2, 0, 0); break;
    case SYS_pwrite64: gate(SYS_pwrite64, a[0], a[1], a[2] / 2, a[3], 0); break;
    case SYS_writev:
        gate(SYS_write, a[0], (long)parts->iov_base, (long)(parts->iov_len / 2), 0, 0);
        break;
    default:
        gate(SYS_pwrite64, a[0], (long)parts->iov_base, (long)(parts->iov_len / 2), a[3], 0);
    }
}

static void trapped(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    ucontext_t *c = context;
    const long a[5] = ARGS(c);
    const struct call *call = NULL;
    for (int k = 0; k < CALLS; k++)
        if (calls[k].nr == info->si_syscall) call = &calls[k];
    char path[4096];
    int counts = 0;
    const char *named = NULL;
    if (call && call->group == NAMES) {
        switch (call->nr) {
        case SYS_renameat: case SYS_renameat2: case SYS_unlinkat: case SYS_mkdirat: case SYS_linkat:
        case SYS_openat:
            named = (const char *)a[1];
            if (named[0] != '/' && a[0] != AT_FDCWD) named = fd_path(a[0], path, sizeof path) ? path : "";
            break;
        default: named = (const char *)a[0];
        }
    } else if (call) {
        named = fd_path(a[0], path, sizeof path) ? path : "";
    }
    if (named && below_dir(named)) counts = 1;
    long n = counts ? atomic_fetch_add(&count, 1) + 1 : 0;
    int hit = counts && at > 0 && (last ? n >= at : n == at);
    if (hit) {
        if (n == at) say("fired ", (unsigned long)n, call->name, named);
        if (act == 'T' && call->group == WRITES) half(call, a);
        if (act == 'K' || act == 'T') die();
        if (act == 'E' || act == 'S') {
            RESULT(c) = act == 'E' ? -EIO : -ENOSPC;
            return;
        }
    }
    long result = gate(info->si_syscall, a[0], a[1], a[2], a[3], a[4]);
    if (hit && act == 'A') die();
    RESULT(c) = result;
}

static long number(const char *name)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

#define LOAD(at) (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(at))
#define SAME(value, yes, no) \
    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), yes, no)
#define ANSWER(value) (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, value)
#define ARGUMENT(n) (offsetof(struct seccomp_data, args) + 8 * (n))

__attribute__((constructor)) static void start(void)
{
    const char *where = getenv("FI_DIR");
    if (!where) return;
    dir_len = strlen(where);
    if (dir_len >= sizeof dir) return;
    memcpy(dir, where, dir_len + 1);
    mask = number("FI_MASK");
    at = number("FI_AT");
    last = number("FI_LAST");
    const char *what = getenv("FI_ACT");
    act = what ? what[0] : 0;

    struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER };
    sigaction(SIGSYS, &action, NULL);

    struct sock_filter f[160];
    unsigned short n = 0;
    uint64_t pass = (uint64_t)(uintptr_t)gate_end;
    f[n++] = LOAD(offsetof(struct seccomp_data, arch));
    f[n++] = SAME(ARCH, 1, 0);
    f[n++] = ANSWER(SECCOMP_RET_ALLOW);
    f[n++] = LOAD(offsetof(struct seccomp_data, instruction_pointer));
    f[n++] = SAME((uint32_t)pass, 0, 3);
    f[n++] = LOAD(offsetof(struct seccomp_data, instruction_pointer) + 4);
    f[n++] = SAME((uint32_t)(pass >> 32), 0, 1);
    f[n++] = ANSWER(SECCOMP_RET_ALLOW);
    f[n++] = LOAD(offsetof(struct seccomp_data, nr));
    for (int k = 0; k < CALLS; k++) {
        if (!(calls[k].group & mask)) continue;
        int flags = -1, fd = 0;
        if (calls[k].nr == SYS_openat) flags = 2;
#ifdef SYS_open
        if (calls[k].nr == SYS_open) flags = 1;
#endif
        fd = calls[k].nr == SYS_write || calls[k].nr == SYS_writev || calls[k].nr == SYS_read;
        if (flags >= 0) {
            f[n++] = SAME(calls[k].nr, 0, 4);
            f[n++] = LOAD(ARGUMENT(flags));
            f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT, 0, 1);
            f[n++] = ANSWER(SECCOMP_RET_TRAP);
            f[n++] = ANSWER(SECCOMP_RET_ALLOW);
        } else if (fd) {
            /* Standard input, output and error are not files of the store. */
            f[n++] = SAME(calls[k].nr, 0, 4);
            f[n++] = LOAD(ARGUMENT(0));
            f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 2, 0, 1);
            f[n++] = ANSWER(SECCOMP_RET_TRAP);
            f[n++] = ANSWER(SECCOMP_RET_ALLOW);
        } else {
            f[n++] = SAME(calls[k].nr, 0, 1);
            f[n++] = ANSWER(SECCOMP_RET_TRAP);
        }
    }
    f[n++] = ANSWER(SECCOMP_RET_ALLOW);
    struct sock_fprog program = { .len = n, .filter = f };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        say("noshim ", (unsigned long)errno, NULL, NULL);
}

__attribute__((destructor)) static void end(void)
{
    if (dir_len) say("total ", (unsigned long)atomic_load(&count), NULL, NULL);
}
