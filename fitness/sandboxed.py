"""What runs in the fresh interpreter of `fitness.sandbox`: it shuts itself in, then runs a reply's code and its tests.

Three processes: this one waits; its child is the first process of a namespace of its own, and all that lives in there
dies with it; the grandchild runs the code. Run as a script, so it imports the standard library alone. Linux only.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

CLONE_MOUNTS, CLONE_NAMES, CLONE_IPC = 0x00020000, 0x04000000, 0x08000000
CLONE_USERS, CLONE_PIDS, CLONE_NETWORK = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
KEPT_FLAGS = 1 | 2 | 4 | 8 | 1024 | 2048
"""Of the flags of a file system those that a bind mount of it may not lose; statvfs spells them as mount does."""
ATIMES = ((4096, 1 << 21), (2048, 1 << 11))
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CAPABILITY_VERSION = 0x20080522
NOBODY = 65534
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime")
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
ERROR_CHARS = 300
INODES = 4096
"""Most files on the small disk: each takes memory of the kernel's, an empty one too."""

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Read a job from standard input, write what came of it to standard output, one JSON object a line."""
    job = json.load(sys.stdin.buffer)
    results, full = _silence(), job["isolation"] == "full"
    os.umask(0o022)
    try:
        if full:
            _enter_namespaces()
        child = os.fork()
        if child:
            _wait_for(child)
            os._exit(0)
        if full:
            _enter_jail(job["disk_mb"])
        else:
            _become_nobody(".")
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user would forget it
        _drop_rights()
        _limit_all(job, 0 if full else _tasks_of_user())
    except Exception as error:  # noqa: BLE001 - whatever keeps it from shutting itself in
        _tell(results, refused=_described(error))
        os._exit(1)
    _supervise(job, results)


def _supervise(job: Mapping[str, Any], results: int) -> NoReturn:
    """Run the code in a child; with the end of this process everything ends that the code has started."""
    try:
        worker = os.fork()
    except OSError as error:
        _tell(results, refused=_described(error))
        os._exit(1)
    if not worker:
        os.environ["HOME"] = os.environ["TMPDIR"] = os.getcwd()
        resource.setrlimit(resource.RLIMIT_CPU, (job["cpu_s"], job["cpu_s"] + 1))
        resource.setrlimit(resource.RLIMIT_AS, (job["memory_mb"] << 20,) * 2)
        _tell(results, ready=True)
        _test(job["code"], job["tests"], results)
        os._exit(0)
    status = _wait_for(worker)
    _tell(results, signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
    os._exit(0)


def _test(code: str, tests: list[str], results: int) -> None:
    """Run the code, then each test in a copy of its names; tell of each what it raised."""
    names: dict[str, Any] = {"__name__": "reply"}
    if error := _raised(code, "reply.py", names):
        _tell(results, broken=error)
        return
    for number, test in enumerate(tests):
        _tell(results, test=number, error=_raised(test, f"test {number + 1}", dict(names)))


def _raised(code: str, place: str, names: dict[str, Any]) -> str:
    try:
        exec(compile(code, place, "exec"), names)  # noqa: S102 - this is what the process is shut in for
    except BaseException as error:  # noqa: BLE001 - SystemExit too is a failed test
        return _described(error)
    return ""


def _described(error: BaseException) -> str:
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - its __str__ is the reply's code as well
        text = type(error).__name__
    return text.removesuffix(": ")[:ERROR_CHARS]


def _tell(results: int, **told: Any) -> None:
    os.write(results, json.dumps(told).encode() + b"\n")


def _silence() -> int:
    """Return where results go; what the code reads and writes is nothing."""
    results, nothing = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
    return results


def _wait_for(child: int) -> int:
    while True:
        ended, status = os.wait()  # orphans of the code end here too
        if ended == child:
            return status


def _become_nobody(folder: str) -> bool:
    """Give up root, whose processes the kernel does not count and to whom every file is open; return whether it was."""
    if os.geteuid():
        return False
    os.chown(folder, NOBODY, NOBODY)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    _prctl(PR_SET_DUMPABLE, 1)  # else its own files in /proc stay root's
    return True


def _enter_namespaces() -> None:
    """Leave network, processes and mounts of the machine. The next child is the first process in there."""
    if os.geteuid():
        _enter_user_namespace()
    _checked("unshare", libc.unshare(CLONE_MOUNTS | CLONE_NETWORK | CLONE_PIDS | CLONE_IPC | CLONE_NAMES))


def _enter_user_namespace() -> None:
    """Be the only user of a namespace, with every right in it and none outside; its processes are counted apart."""
    user, group = os.geteuid(), os.getegid()
    _checked("unshare (users)", libc.unshare(CLONE_USERS))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        file = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(file, text.encode())
        os.close(file)


def _enter_jail(disk_mb: int) -> None:
    """Make the working directory a root of its own: a small memory disk, with Python and the system read-only in it."""
    root = os.getcwd()
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, f"size={disk_mb}m,nr_inodes={INODES},mode=755")
    for path in _visible():
        _show(path, root + path)
    os.chdir(root)
    os.mkdir("work")
    if _become_nobody("work"):
        _enter_user_namespace()
    os.chroot(".")  # not by its path, which nobody may be unable to walk
    os.chdir("/work")


def _visible() -> Iterator[str]:
    """Yield what code in the jail may read, none below another."""
    shown: list[str] = []
    own = {path for prefix in (sys.prefix, sys.base_prefix) for path in (prefix, os.path.realpath(prefix))}
    for path in sorted({*SYSTEM, *DEVICES, *own}):
        if os.path.lexists(path) and not any(path.startswith(f"{other}/") for other in shown):
            shown.append(path)
            yield path


def _show(path: str, place: str) -> None:
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if os.path.islink(path) and path.count("/") == 1:  # such as /lib where that is /usr/lib
        os.symlink(os.readlink(path), place)
        return
    if os.path.isdir(path):
        os.mkdir(place)
    else:
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY))
    _mount(path, place, None, MS_BIND | MS_REC)
    flags = os.statvfs(place).f_flag
    kept = flags & KEPT_FLAGS & ~2048 | sum(mount for here, mount in ATIMES if flags & here)
    writable = 0 if path in DEVICES else MS_RDONLY
    _mount(None, place, None, MS_REMOUNT | MS_BIND | MS_NOSUID | writable | kept)


def _drop_rights() -> None:
    """Give up every capability, for good."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    _checked("capset", libc.capset(header, (ctypes.c_uint32 * 6)()))


def _limit_all(job: Mapping[str, Any], count: int) -> None:
    """Set what this process and its children may have; ``count`` are the user's tasks that are not of this job."""
    # Two more for this process and the code's own.
    for kind, most in (
        (resource.RLIMIT_NPROC, count + job["processes"] + 2),
        (resource.RLIMIT_FSIZE, job["disk_mb"] << 20),
        (resource.RLIMIT_NOFILE, job["files"]),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _tasks_of_user() -> int:
    """Return how many tasks the kernel counts for this user, who without a namespace shares one limit among them."""
    count = 0
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == os.geteuid():
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count


def _mount(source: str | None, place: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, place, kind, options)]
    _checked(place, libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]))


def _prctl(option: int, value: int) -> None:
    _checked("prctl", libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def _checked(what: str, result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


if __name__ == "__main__":
    main()
