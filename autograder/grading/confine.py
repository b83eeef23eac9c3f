"""What a runner gives up before it runs a line of a submission. Linux only; called inside the sandbox.

The sandbox (see ``sandbox``) has no network, its own process tree, and a read-only file system in which little can
be seen. Each runner goes further: user, mount, process, IPC and network namespaces of its own, a private scratch
directory of limited size, an empty ``/proc``, no capability, no new process, and limits on memory, CPU, files and
threads.
A process that cannot make another leaves none behind, and its memory limit is the limit of the whole submission.
"""

import ctypes
import os
import platform
import resource
import struct
import sys

SCRATCH = "/scratch"
_CLONE_NEW = {"user": 0x10000000, "mount": 0x00020000, "pid": 0x20000000, "ipc": 0x08000000, "net": 0x40000000}
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 0x20
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 4, 24, 38, 22

# System calls that a runner does without, by number on (x86_64, aarch64); None: does not exist there.
_DENIED = {
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_by_handle_at": (304, 265),
    "socket": (41, 198), "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194),
    "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "personality": (135, 92), "kexec_load": (246, 104),
    "init_module": (175, 105), "finit_module": (313, 273),
}  # fmt: skip
_ARCHITECTURES = {"x86_64": (0, 0xC000003E, 56), "aarch64": (1, 0xC00000B7, 220)}  # column, audit number, clone
_CLONE3 = 435

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *arguments):
    if getattr(_libc, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def drop_root(uid=65534):
    """Go on as nobody. Limits on processes do not bind root, and nobody owns no file."""
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    _call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)  # otherwise /proc/self, where id maps are written, stays root's


def enter_namespaces():
    """New namespaces for the children of this process, in which they are an ordinary user."""
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", sum(_CLONE_NEW.values()))
    for name, line in (("uid_map", f"1000 {uid} 1"), ("setgroups", "deny"), ("gid_map", f"1000 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)


def confine(limits, hidden=()):
    """Give up everything that a runner does not need; there is no way back.

    Parameters
    ----------
    limits : dict
        ``scratch``, ``memory`` and ``file`` in bytes, ``cpu`` in seconds, ``threads``, ``files``.
    hidden : sequence of str
        Files and folders that are laid over with nothing, see ``seal``.

    Raises
    ------
    OSError
        If the kernel refuses: the runner must then not start.
    """
    flags = _MS_NOSUID | _MS_NODEV
    _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    options = f"size={limits['scratch']},nr_inodes=10000,mode=700".encode()
    _call("mount", b"scratch", SCRATCH.encode(), b"tmpfs", flags | _MS_NOEXEC, options)
    if not os.listdir("/tmp"):  # not where the course itself is installed below /tmp: it must stay readable
        _call("mount", SCRATCH.encode(), b"/tmp", None, _MS_BIND, None)  # the same directory
    for path in hidden:
        if os.path.isdir(path):
            _call("mount", b"none", path.encode(), b"tmpfs", flags | _MS_NOEXEC | _MS_RDONLY, b"size=4k,mode=755")
        else:
            _call("mount", b"/dev/null", path.encode(), None, _MS_BIND, None)
    memory = limits["memory"] + _address_space()
    _replace_proc(flags | _MS_NOEXEC)
    os.chdir(SCRATCH)
    set_limits({**limits, "memory": memory})
    _restrict_writing()
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails beyond the kernel's last capability
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header, data = struct.pack("II", 0x20080522, 0), bytes(24)
    _call("capset", header, data)
    _deny_system_calls()


def _replace_proc(flags):
    """Put a ``/proc`` in the place of the real one that tells of the machine, not of processes.

    TensorFlow aborts where it cannot learn its executable and its command line.
    """
    told = {}
    for name in ("cpuinfo", "meminfo", "stat"):
        with open(f"/proc/{name}", "rb") as file:
            told[name] = file.read()
    _call("mount", b"none", b"/proc", b"tmpfs", flags, b"size=1m,mode=755")
    os.mkdir("/proc/self")
    for name, text in {**told, "self/cmdline": b"python\0"}.items():
        with open(f"/proc/{name}", "wb") as file:
            file.write(text)
    os.symlink(os.path.realpath(sys.executable), "/proc/self/exe")
    _call("mount", b"none", b"/proc", None, flags | _MS_REMOUNT | _MS_RDONLY, b"size=1m,mode=755")


def set_limits(limits):
    """The resource limits alone."""
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory"],) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu"], limits["cpu"] + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file"],) * 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits["files"],) * 2)
    resource.setrlimit(resource.RLIMIT_NPROC, (limits["threads"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _address_space():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _restrict_writing():
    """Landlock, where the kernel has it: nothing is written, made, removed, moved or truncated outside the scratch."""
    create, add_rule, restrict = 444, 445, 446
    version = _libc.syscall(create, None, 0, 1)
    if version < 1:
        return
    writing = 0b1_1111_1111_0010 | (0x2000 if version >= 2 else 0) | (0x4000 if version >= 3 else 0)
    ruleset = _libc.syscall(create, struct.pack("Q", writing), 8, 0)
    for path in (SCRATCH, "/dev/null", *(["/tmp"] if os.path.samefile(SCRATCH, "/tmp") else [])):
        directory = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rights = writing if os.path.isdir(path) else writing & (0x2 | 0x4000)
        if _libc.syscall(add_rule, ruleset, 1, struct.pack("=Qi", rights, directory), 0) < 0:
            raise OSError(ctypes.get_errno(), f"landlock_add_rule: {path}")
        os.close(directory)
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _libc.syscall(restrict, ruleset, 0) < 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


def landlock_version():
    """The kernel's Landlock version, or 0."""
    return max(0, _libc.syscall(444, None, 0, 1))


def has_filter():
    """Whether the system-call filter knows this machine's processor."""
    return platform.machine() in _ARCHITECTURES


def _deny_system_calls():
    """A seccomp filter: threads yes, processes no; nothing that a submission needs is missing."""
    column, audit, clone = _ARCHITECTURES[platform.machine()]
    load, equal, at_least, bits, done = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill, refuse, unknown = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026  # EPERM, ENOSYS
    program = [(load, 0, 0, 4), (equal, 1, 0, audit), (done, 0, 0, kill), (load, 0, 0, 0)]
    program += [(at_least, 0, 1, 0x40000000), (done, 0, 0, refuse)]  # x86's other numbering
    program += [
        (equal, 0, 1, _CLONE3),
        (done, 0, 0, unknown),
    ]  # its flags cannot be seen; the C library then uses clone
    for numbers in _DENIED.values():
        if numbers[column] is not None:
            program += [(equal, 0, 1, numbers[column]), (done, 0, 0, refuse)]
    program += [(equal, 0, 3, clone), (load, 0, 0, 16), (bits, 1, 0, 0x10000), (done, 0, 0, refuse)]  # CLONE_THREAD
    program += [(done, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    pointer = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    _call("prctl", _PR_SET_SECCOMP, 2, pointer, 0, 0)
