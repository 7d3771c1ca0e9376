"""What is mounted where, and how to get rid of it: never touches the file system itself."""

import os
import subprocess

CONNECTIONS = "/sys/fs/fuse/connections"


def absolute(path):
    """`path` as the kernel lists it; resolves the directory only, the file could hang."""
    directory, name = os.path.split(path)
    return os.path.join(os.path.realpath(directory), name)


def connection(path):
    """The number of the FUSE connection mounted on `path`, or None."""
    found = None
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            fields = line.split(" ")
            kind = fields[fields.index("-", 6) + 1]
            if _unescape(fields[4]) == path and kind.startswith("fuse"):
                # The last one listed is the topmost one.
                found = int(fields[2].split(":")[1])
    return found


def release(path):
    """Aborts the connection, so that whoever waits for it goes on, and unmounts."""
    number = connection(path)
    if number is None:
        return
    try:
        with open(f"{CONNECTIONS}/{number}/abort", "w", encoding="ascii") as abort:
            abort.write("1")
    except OSError:
        pass  # No control file system here: the forced unmount aborts as well.
    command = ["umount", "--internal-only", "--no-canonicalize", "--force", "--lazy", path]
    subprocess.run(command, stderr=subprocess.DEVNULL, timeout=10, check=False)


def _unescape(field):
    for octal, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(octal, character)
    return field
