"""Hides AVX-512 from libraries that this process loads later: Linux on x86-64, with a C compiler.

ONNX Runtime has no switch for its instruction set. Linux can make the CPUID instruction fault in one thread (arch_prctl,
ARCH_SET_CPUID); the handler executes it and clears the bits of AVX-512 and AMX in the answer.
"""

import ctypes
import os
import subprocess
import tempfile

SOURCE = r"""
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { SET_CPUID = 0x1012 };

static void answer(int number, siginfo_t *info, void *context) {
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *at = (const unsigned char *)regs[REG_RIP];
    if (at[0] != 0x0f || at[1] != 0xa2) { /* a real fault */
        signal(SIGSEGV, SIG_DFL);
        return;
    }
    unsigned leaf = regs[REG_RAX], sub = regs[REG_RCX], a, b, c, d;
    syscall(SYS_arch_prctl, SET_CPUID, 1);
    __cpuid_count(leaf, sub, a, b, c, d);
    syscall(SYS_arch_prctl, SET_CPUID, 0);
    if (leaf == 7 && sub == 0) {
        b &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31);
        c &= ~(1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14);
        d &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25);
    }
    if (leaf == 7 && sub == 1) a &= ~(1u << 5 | 1u << 21);
    regs[REG_RAX] = a, regs[REG_RBX] = b, regs[REG_RCX] = c, regs[REG_RDX] = d;
    regs[REG_RIP] += 2;
}

int mask(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    if (sigaction(SIGSEGV, &action, 0)) return -1;
    return syscall(SYS_arch_prctl, SET_CPUID, 0);
}

int has_avx512(void) {
    unsigned a, b, c, d;
    __cpuid_count(7, 0, a, b, c, d);
    return b >> 16 & 1;
}
"""


def mask_avx512():
    """Hides it from now on; fails loudly where that cannot be done."""
    folder = tempfile.mkdtemp()
    source, library = os.path.join(folder, "mask.c"), os.path.join(folder, "mask.so")
    with open(source, "w", encoding="utf-8") as file:
        file.write(SOURCE)
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    code = ctypes.CDLL(library)
    if code.mask() != 0 or code.has_avx512():
        raise SystemExit("this kernel cannot hide AVX-512 from a process: leave out --avx2")
