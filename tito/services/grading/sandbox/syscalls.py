"""A seccomp filter: system calls that a notebook has no use for, refused inside the sandbox.

Two kinds. Memory that belongs to no process escapes a watch that sums up processes: memfd_create, System V shared
memory and message queues, shared anonymous mappings. The others are doors that kernels were broken through:
namespaces, mounts, tracing, keys, io_uring, BPF.
The filter is classic BPF (seccomp(2), linux/filter.h); numbers are those of the kernel's syscall tables.
"""

import errno
import platform
import struct

# name: number on x86_64, on aarch64 (None where that has no such call)
REFUSED = {
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "msgget": (68, 186), "mq_open": (240, 180), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "init_module": (175, 105),
    "finit_module": (313, 273), "kexec_load": (246, 104), "swapon": (167, 224), "reboot": (169, 142),
    "quotactl": (179, 60), "acct": (163, 89), "syslog": (103, 116), "vhangup": (153, 58),
}  # fmt: skip
CLONE, CLONE3, MMAP = (56, 220), (435, 435), (9, 222)
NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW… flag of clone(2)
MAP_SHARED_KIND, MAP_ANONYMOUS = 0x03, 0x20
SHARED_ANONYMOUS = (0x21, 0x23)  # MAP_SHARED and MAP_SHARED_VALIDATE, both anonymous
AUDIT = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
X32 = 0x40000000  # a second table of system calls on x86_64
NUMBER, ARCHITECTURE, FIRST, FOURTH = 0, 4, 16, 40  # offsets in struct seccomp_data

LOAD, AND, RETURN = 0x20, 0x54, 0x06
IS_EQUAL, IS_AT_LEAST, HAS_BITS = 0x15, 0x35, 0x45
ALLOW = 0x7FFF0000


def _refuse(number):
    return (RETURN, 0, 0, 0x00050000 | number)


def filter_program():
    """The filter for this machine as the kernel reads it, b"" on a machine whose numbers are not known here."""
    if platform.machine() not in AUDIT:
        return b""
    column, audit = AUDIT[platform.machine()]
    program = [
        (LOAD, 0, 0, ARCHITECTURE),
        (IS_EQUAL, 1, 0, audit),  # another architecture's calls have other numbers
        _refuse(errno.ENOSYS),
        (LOAD, 0, 0, NUMBER),
    ]
    if column == 0:
        program += [(IS_AT_LEAST, 0, 1, X32), _refuse(errno.ENOSYS)]
    for numbers in REFUSED.values():
        program += [(IS_EQUAL, 0, 1, numbers[column]), _refuse(errno.EPERM)]
    # its flags lie in memory, where a filter cannot look: the C library falls back to clone
    program += [(IS_EQUAL, 0, 1, CLONE3[column]), _refuse(errno.ENOSYS)]
    program += [
        (IS_EQUAL, 0, 3, CLONE[column]),
        (LOAD, 0, 0, FIRST),
        (HAS_BITS, 0, 4 + len(SHARED_ANONYMOUS), NEW_NAMESPACES),
        _refuse(errno.EPERM),
        (IS_EQUAL, 0, 2 + len(SHARED_ANONYMOUS), MMAP[column]),
        (LOAD, 0, 0, FOURTH),
        (AND, 0, 0, MAP_SHARED_KIND | MAP_ANONYMOUS),
        *[(IS_EQUAL, len(SHARED_ANONYMOUS) - place, 0, flags) for place, flags in enumerate(SHARED_ANONYMOUS)],
        (RETURN, 0, 0, ALLOW),
        _refuse(errno.EPERM),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
