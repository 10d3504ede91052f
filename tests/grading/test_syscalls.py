"""The filter of system calls, run as the kernel would run it, with the numbers of both processors."""

import errno
import re
from pathlib import Path

import pytest

from tito.services.grading.sandbox import syscalls

HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
GENERIC = Path("/usr/include/asm-generic/unistd.h")  # aarch64 numbers its calls by this one
ALLOW = 0x7FFF0000
REFUSED = (
    "memfd_create semget semop shmget msgget mount unshare ptrace bpf keyctl setns io_uring_setup process_vm_readv "
    "userfaultfd pidfd_getfd perf_event_open inotify_init1"
)


def run(machine, number, *arguments, audit=None, network=True):
    """What the filter returns: "allow", or the name of the error."""
    program = syscalls.instructions(machine, network=network)
    data = {syscalls.NUMBER: number, syscalls.ARCHITECTURE: audit or syscalls.AUDIT[machine][1]}
    data |= {16 + 8 * place: value & 0xFFFFFFFF for place, value in enumerate(arguments)}
    place = register = 0
    while True:
        operation, if_true, if_false, operand = program[place]
        place += 1
        if operation == syscalls.RETURN:
            return "allow" if operand == ALLOW else errno.errorcode[operand & 0xFFFF]
        if operation == syscalls.LOAD:
            register = data.get(operand, 0)
        elif operation == syscalls.AND:
            register &= operand
        else:
            true = {
                syscalls.IS_EQUAL: register == operand,
                syscalls.IS_ABOVE: register > operand,
                syscalls.IS_AT_LEAST: register >= operand,
                syscalls.HAS_BITS: bool(register & operand),
            }[operation]
            place += if_true if true else if_false


def table(machine):
    """{name: number} from the headers of the C library."""
    path, pattern = HEADER, r"__NR_(\w+)\s+(\d+)"
    if machine == "aarch64":
        path, pattern = GENERIC, r"__NR(?:3264)?_(\w+)\s+(\d+)\b"
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    found = {name: int(number) for name, number in re.findall(rf"#define {pattern}", path.read_text("ascii"))}
    return found | ({"newfstatat": found["fstatat"]} if "fstatat" in found else {})


@pytest.mark.parametrize("machine", syscalls.AUDIT)
def test_the_numbers_are_those_of_the_headers(machine):
    known = table(machine)
    column = syscalls.AUDIT[machine][0]
    ours = {name: pair[column] for name, pair in syscalls.ALLOWED.items()}
    assert {name: known.get(name) for name in ours} == ours


@pytest.mark.parametrize("machine", syscalls.AUDIT)
def test_what_is_on_the_list_is_allowed_and_nothing_else(machine):
    column = syscalls.AUDIT[machine][0]
    numbers = {pair[column]: name for name, pair in syscalls.ALLOWED.items() if pair[column] is not None}
    for number in range(600):
        expected = "allow" if number in numbers else "EPERM" if number <= syscalls.NEWEST else "ENOSYS"
        expected = "ENOSYS" if number == syscalls.CLONE3 else expected
        expected = "EAFNOSUPPORT" if numbers.get(number) in ("socket", "socketpair") else expected  # of no family
        assert run(machine, number) == expected, (number, numbers.get(number))
    for name in REFUSED.split():
        assert name not in syscalls.ALLOWED


@pytest.mark.parametrize("machine", syscalls.AUDIT)
def test_arguments_decide_about_sockets_mappings_and_clones(machine):
    def call(name, *arguments):
        return run(machine, syscalls.ALLOWED[name][syscalls.AUDIT[machine][0]], *arguments)

    assert [call("socket", family) for family in (1, 2, 10)] == ["allow"] * 3
    assert {call("socket", family) for family in (0, 16, 17, 38, 40, 44)} == {"EAFNOSUPPORT"}
    assert call("socketpair", 1) == "allow"
    assert call("mmap", 0, 4096, 3, 0x22) == call("mmap", 0, 4096, 3, 0x01) == "allow"
    assert {call("mmap", 0, 4096, 3, flags) for flags in (0x21, 0x23, 0x40022, 0x100021)} == {"EPERM"}
    assert call("clone", 0x3D0F00) == "allow", "a thread"
    assert call("clone", 0x10000000) == call("clone", 0x00020000) == "EPERM", "namespaces"


@pytest.mark.parametrize("machine", syscalls.AUDIT)
def test_without_a_network_of_its_own_no_socket_is_made_and_all_else_is_the_same(machine):
    column = syscalls.AUDIT[machine][0]
    sockets, pairs = (syscalls.ALLOWED[name][column] for name in ("socket", "socketpair"))
    assert {run(machine, sockets, family, network=False) for family in range(60)} == {"EACCES"}
    assert run(machine, pairs, 1, network=False) == "allow"
    for number in {*range(600)} - {sockets}:
        assert run(machine, number, 0x22, network=False) == run(machine, number, 0x22)


def test_another_table_of_calls_is_closed():
    assert run("x86_64", 0, audit=0x40000003) == "ENOSYS"
    assert run("x86_64", 0x40000000) == "ENOSYS"
    assert syscalls.filter_program("riscv64") == b""
