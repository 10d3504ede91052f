"""A seccomp filter: the system calls that a notebook has a use for are allowed inside the sandbox, no others.

What is not on the list is refused, as are new calls that nobody has looked at yet: doors that kernels were broken
through (namespaces, mounts, tracing, keys, io_uring, BPF), and memory that belongs to no process, which escapes a watch
that sums up processes (memfd_create, System V segments, queues and semaphores, shared anonymous mappings, huge pages).
Sockets are made of the families that a network namespace holds: AF_VSOCK, which none holds, leads to the host of a
virtual machine.
Where the sandbox has no network of its own, no socket is made at all, only pairs of them (`network=False`).
The filter is classic BPF (seccomp(2), linux/filter.h); numbers are those of the kernel's syscall tables.
"""

import errno
import itertools
import platform
import socket
import struct

# name: number on x86_64, on aarch64 (None where that has no such call)
ALLOWED = {
    # files
    "read": (0, 63), "write": (1, 64), "open": (2, None), "close": (3, 57), "stat": (4, None), "fstat": (5, 80),
    "lstat": (6, None), "lseek": (8, 62), "pread64": (17, 67), "pwrite64": (18, 68), "readv": (19, 65),
    "writev": (20, 66), "preadv": (295, 69), "pwritev": (296, 70), "preadv2": (327, 286), "pwritev2": (328, 287),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439), "openat": (257, 56),
    "openat2": (437, 437), "creat": (85, None), "newfstatat": (262, 79), "statx": (332, 291), "getdents": (78, None),
    "getdents64": (217, 61), "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50), "rename": (82, None),
    "renameat": (264, 38), "renameat2": (316, 276), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "link": (86, None), "linkat": (265, 37), "unlink": (87, None), "unlinkat": (263, 35), "symlink": (88, None),
    "symlinkat": (266, 36), "readlink": (89, None), "readlinkat": (267, 78), "chmod": (90, None), "fchmod": (91, 52),
    "fchmodat": (268, 53), "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "umask": (95, 166), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "truncate": (76, 45), "ftruncate": (77, 46), "fallocate": (285, 47), "fsync": (74, 82), "fdatasync": (75, 83),
    "statfs": (137, 43), "fstatfs": (138, 44), "flock": (73, 32), "fcntl": (72, 25), "ioctl": (16, 29),
    "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59),
    "sendfile": (40, 71), "copy_file_range": (326, 285), "fadvise64": (221, 223), "getxattr": (191, 8),
    "lgetxattr": (192, 9), "fgetxattr": (193, 10), "listxattr": (194, 11), "llistxattr": (195, 12),
    "flistxattr": (196, 13), "close_range": (436, 436),
    # memory
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "msync": (26, 227),
    "mincore": (27, 232), "madvise": (28, 233), "brk": (12, 214), "membarrier": (324, 283),
    # processes
    "clone": (56, 220), "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "exit": (60, 93), "exit_group": (231, 94), "wait4": (61, 260), "waitid": (247, 95), "kill": (62, 129),
    "tkill": (200, 130), "tgkill": (234, 131), "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178),
    "getpgid": (121, 155), "setpgid": (109, 154), "getpgrp": (111, None), "getsid": (124, 156), "setsid": (112, 157),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148),
    "getresgid": (120, 150), "getgroups": (115, 158), "prctl": (157, 167), "arch_prctl": (158, None),
    "getrlimit": (97, 163), "setrlimit": (160, 164), "prlimit64": (302, 261), "getrusage": (98, 165),
    "times": (100, 153), "sysinfo": (99, 179), "uname": (63, 160), "getpriority": (140, 141),
    "setpriority": (141, 140), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "sched_setaffinity": (203, 122), "sched_getparam": (143, 121), "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126), "sched_rr_get_interval": (148, 127),
    "set_tid_address": (218, 96), "set_robust_list": (273, 99), "get_robust_list": (274, 100), "rseq": (334, 293),
    "futex": (202, 98), "futex_waitv": (449, 449), "restart_syscall": (219, 128), "getcpu": (309, 168),
    "capget": (125, 90), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    # time and signals
    "pause": (34, None), "nanosleep": (35, 101), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115), "gettimeofday": (96, 169), "time": (201, None), "alarm": (37, None),
    "getitimer": (36, 102), "setitimer": (38, 103), "timer_create": (222, 107), "timer_settime": (223, 110),
    "timer_gettime": (224, 108), "timer_getoverrun": (225, 109), "timer_delete": (226, 111),
    "timerfd_create": (283, 85), "timerfd_settime": (286, 86), "timerfd_gettime": (287, 87),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137), "rt_sigqueueinfo": (129, 138), "rt_sigsuspend": (130, 133),
    "rt_tgsigqueueinfo": (297, 240), "sigaltstack": (131, 132), "getrandom": (318, 278),
    # waiting and sockets
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "epoll_create": (213, None),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22),
    "epoll_pwait2": (441, 441), "eventfd": (284, None), "eventfd2": (290, 19), "socket": (41, 198),
    "socketpair": (53, 199), "connect": (42, 203), "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206),
    "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212), "sendmmsg": (307, 269), "recvmmsg": (299, 243),
    "shutdown": (48, 210), "bind": (49, 200), "listen": (50, 201), "getsockname": (51, 204), "getpeername": (52, 205),
    "setsockopt": (54, 208), "getsockopt": (55, 209),
}  # fmt: skip
NEWEST = 450  # a later call does not exist, as on an older kernel: the C library knows another way
CLONE3 = 435  # its flags lie in memory, where a filter cannot look: the same
NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW… flag of clone(2)
MAP_SHARED_KIND, MAP_ANONYMOUS, MAP_HUGETLB = 0x03, 0x20, 0x40000
SHARED_ANONYMOUS = (0x21, 0x23)  # MAP_SHARED and MAP_SHARED_VALIDATE, both anonymous
FAMILIES = (socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_UNIX", 1))
AUDIT = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
X32 = 0x40000000  # a second table of system calls on x86_64
NUMBER, ARCHITECTURE, FIRST, FOURTH = 0, 4, 16, 40  # offsets in struct seccomp_data

LOAD, AND, RETURN = 0x20, 0x54, 0x06
IS_EQUAL, IS_ABOVE, IS_AT_LEAST, HAS_BITS = 0x15, 0x25, 0x35, 0x45
ALLOW = (RETURN, 0, 0, 0x7FFF0000)


def _refuse(number):
    return (RETURN, 0, 0, 0x00050000 | number)


def filter_program(machine=None, *, network=True):
    """The filter for `machine`, this one's kind if None, as the kernel reads it; b"" where its numbers are unknown.

    network: whether sockets may be made, which then belong to a network of the sandbox's own.
    """
    machine = machine or platform.machine()
    if machine not in AUDIT:
        return b""
    return b"".join(struct.pack("=HBBI", *one) for one in instructions(machine, network=network))


def instructions(machine, *, network=True):
    """(operation, jump where true, jump where false, operand) of each instruction. What jumps skips so many."""
    column, audit = AUDIT[machine]
    program = [
        (LOAD, 0, 0, ARCHITECTURE),
        (IS_EQUAL, 1, 0, audit),  # another architecture's calls have other numbers
        _refuse(errno.ENOSYS),
        (LOAD, 0, 0, NUMBER),
    ]
    program += [(IS_AT_LEAST, 0, 1, X32), _refuse(errno.ENOSYS)] if column == 0 else []
    program += [(IS_EQUAL, 0, 1, CLONE3), _refuse(errno.ENOSYS)]
    looked_at = {"clone": _clone(), "mmap": _mmap(), "socketpair": _socket()}
    looked_at["socket"] = _socket() if network else [_refuse(errno.EACCES)]
    for name, body in looked_at.items():
        program += [(IS_EQUAL, 0, len(body), ALLOWED[name][column]), *body]
    plain = [pair[column] for name, pair in ALLOWED.items() if name not in looked_at]
    for first, last in _ranges(sorted(number for number in plain if number is not None)):
        program += [(IS_AT_LEAST, 1, 0, first), _refuse(errno.EPERM), (IS_ABOVE, 1, 0, last), ALLOW]
    return [*program, (IS_ABOVE, 1, 0, NEWEST), _refuse(errno.EPERM), _refuse(errno.ENOSYS)]


def _ranges(numbers):
    """(first, last) of the numbers that follow each other, in order."""
    for _, group in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        found = [number for _, number in group]
        yield found[0], found[-1]


# Calls whose arguments are looked at: what runs where it is the call.


def _clone():
    return [(LOAD, 0, 0, FIRST), (HAS_BITS, 0, 1, NEW_NAMESPACES), _refuse(errno.EPERM), ALLOW]


def _mmap():
    body = [(LOAD, 0, 0, FOURTH), (HAS_BITS, 0, 1, MAP_HUGETLB), _refuse(errno.EPERM)]
    body += [(AND, 0, 0, MAP_SHARED_KIND | MAP_ANONYMOUS)]
    for flags in SHARED_ANONYMOUS:
        body += [(IS_EQUAL, 0, 1, flags), _refuse(errno.EPERM)]
    return [*body, ALLOW]


def _socket():
    body = [(LOAD, 0, 0, FIRST)]
    for family in FAMILIES:
        body += [(IS_EQUAL, 0, 1, int(family)), ALLOW]
    return [*body, _refuse(errno.EAFNOSUPPORT)]
