"""The steps that furnish a container's root: each can describe itself and be applied.

A step is a value; `rootfs.plan` makes the list, the container's init applies it, `explain` prints the same list.  All
targets are paths of the container, resolved by the kernel inside the root that is being built (openat2(2),
RESOLVE_IN_ROOT) and held by descriptor: a link in an image, or one that another container swaps in meanwhile, leads
nowhere outside (CVE-2021-30465, CVE-2024-45310).
"""

from __future__ import annotations

import errno
import os
import stat

from tuidock.errors import Refused, RuntimeFailure
from tuidock.oci.value import Value
from tuidock.runtime import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ATTRIBUTES = {
    "ro": (sys.MOUNT_ATTR_RDONLY, 0), "rw": (0, sys.MOUNT_ATTR_RDONLY),
    "nosuid": (sys.MOUNT_ATTR_NOSUID, 0), "suid": (0, sys.MOUNT_ATTR_NOSUID),
    "nodev": (sys.MOUNT_ATTR_NODEV, 0), "dev": (0, sys.MOUNT_ATTR_NODEV),
    "noexec": (sys.MOUNT_ATTR_NOEXEC, 0), "exec": (0, sys.MOUNT_ATTR_NOEXEC),
    "noatime": (sys.MOUNT_ATTR_NOATIME, sys.MOUNT_ATTR__ATIME), "atime": (0, sys.MOUNT_ATTR__ATIME),
    "strictatime": (sys.MOUNT_ATTR_STRICTATIME, sys.MOUNT_ATTR__ATIME), "relatime": (0, sys.MOUNT_ATTR__ATIME),
    "nodiratime": (sys.MOUNT_ATTR_NODIRATIME, 0), "diratime": (0, sys.MOUNT_ATTR_NODIRATIME),
    "nosymfollow": (sys.MOUNT_ATTR_NOSYMFOLLOW, 0), "symfollow": (0, sys.MOUNT_ATTR_NOSYMFOLLOW),
    "norelatime": (0, 0), "nostrictatime": (sys.MOUNT_ATTR_RELATIME, sys.MOUNT_ATTR__ATIME),
}  # fmt: skip
"""Option word to the attributes of mount_setattr(2) that it sets and clears.  runtime-spec, config.md, "Mounts"."""

PROPAGATION = {
    "private": sys.MS_PRIVATE, "slave": sys.MS_SLAVE, "shared": sys.MS_SHARED, "unbindable": sys.MS_UNBINDABLE,
    "rprivate": sys.MS_PRIVATE, "rslave": sys.MS_SLAVE, "rshared": sys.MS_SHARED, "runbindable": sys.MS_UNBINDABLE,
}  # fmt: skip


RECURSIVE = {f"r{word}": pair for word, pair in ATTRIBUTES.items()}
"""The same for a mount and all below it: `rro`, `rnosuid` …"""

FLAGS = {
    "sync": sys.MS_SYNCHRONOUS, "dirsync": sys.MS_DIRSYNC, "mand": sys.MS_MANDLOCK, "silent": sys.MS_SILENT,
    "acl": sys.MS_POSIXACL, "iversion": sys.MS_I_VERSION, "lazytime": sys.MS_LAZYTIME,
}  # fmt: skip
"""Words of a file system as such, not of its mount."""
OPPOSITES = {
    "async": "sync", "nomand": "mand", "loud": "silent", "noacl": "acl", "noiversion": "iversion", "nolazytime": "lazytime",
}  # fmt: skip
IDMAP = ("idmap", "ridmap")
"""Owners of the source are others in the container: who opens the source sees to that."""
TMP_COPY_UP = "tmpcopyup"
"""A new tmpfs begins with what the image has in its place."""
OPTION_WORDS = (
    *ATTRIBUTES, *RECURSIVE, *PROPAGATION, *FLAGS, *OPPOSITES, "bind", "rbind", "defaults", "remount", TMP_COPY_UP, *IDMAP,
)  # fmt: skip
"""All that are understood; others are the file system's own."""


def attributes(words: Sequence[str], *, table: Mapping[str, tuple[int, int]] = ATTRIBUTES) -> tuple[int, int, list[str]]:
    """Option words to (attributes to set, attributes to clear, the words that are the file system's own).

    table: which words are meant, those of a mount or those of all below it too.
    """
    set_ = clear = 0
    rest = []
    for word in words:
        if word in table:
            adds, takes = table[word]
            set_, clear = set_ & ~takes | adds, clear & ~adds | takes
        elif word not in OPTION_WORDS:
            rest.append(word)
    return set_, clear, rest


class Step(Value):
    """One thing that is done to the root; `root` is a descriptor of it."""

    def describe(self) -> str:
        raise NotImplementedError

    def apply(self, root: int) -> None:
        """Do it.  Raises OSError or TuidockError; what was mounted goes with the mount namespace."""
        raise NotImplementedError


class Overlay(Value):
    """The container's stack as one mount: image layers, init layer, read-write layer.  Kernel: filesystems/overlayfs."""

    lower: tuple[str, ...]
    """Highest first, absolute, or links relative to `links`."""
    links: str
    """The folder with a short link to each image layer: mount(2) has one page for all the names."""
    upper: str
    """Empty for a read-only look at the lower layers."""
    work: str
    target: str

    def describe(self) -> str:
        return f"overlay of {len(self.lower)} lower layers and {self.upper or 'nothing'} on {self.target}"

    def apply(self) -> None:
        """Mount it, by fsconfig(2) with `lowerdir+` (Linux 6.8) or by mount(2) with short names before that."""
        options = {"index": "off", "redirect_dir": "off", "metacopy": "off"}  # the upper directory stays a plain diff
        if self.upper:
            options |= {"upperdir": self.upper, "workdir": self.work}
        back = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.chdir(self.links)
        try:
            if not self._apply_by_descriptor(options):
                words = [f"lowerdir={':'.join(self.lower)}", *(f"{key}={value}" for key, value in options.items())]
                sys.mount("overlay", self.target, "overlay", 0, ",".join(words))
        finally:
            os.fchdir(back)
            os.close(back)

    def _apply_by_descriptor(self, options: dict[str, str]) -> bool:
        """False if the kernel does not know `lowerdir+`: EINVAL at once, or before Linux 6.5 only at the end.

        Other mistakes are EINVAL too; then mount(2) says so after this.
        """
        context = sys.fsopen("overlay")
        try:
            for layer in self.lower:
                sys.fsconfig(context, sys.FSCONFIG_SET_STRING, "lowerdir+", os.path.realpath(layer))
            for key, value in options.items():
                sys.fsconfig(context, sys.FSCONFIG_SET_STRING, key, value)
            sys.fsconfig(context, sys.FSCONFIG_SET_STRING, "source", "overlay")
            sys.fsconfig(context, sys.FSCONFIG_CMD_CREATE)
            tree = sys.fsmount(context)
            target = os.open(self.target, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            sys.move_mount(tree, target, self.target)
            os.close(tree)
            os.close(target)
            return True
        except OSError as error:
            if error.errno == errno.EINVAL:
                return False
            raise
        finally:
            os.close(context)


class FileSystem(Step):
    """A new file system: proc, tmpfs, devpts, mqueue, sysfs, cgroup, cgroup2."""

    kind: str
    target: str
    source: str
    options: tuple[str, ...]

    def describe(self) -> str:
        return f"mount {self.kind} on {self.target} ({','.join(self.options)})"

    def apply(self, root: int) -> None:
        plain = [word[1:] if word in RECURSIVE else word for word in self.options]  # nothing is below it yet
        set_, _, own = attributes(plain)
        strict = self.kind in ("proc", "sysfs")  # a link here would put masks elsewhere: CVE-2019-19921, CVE-2023-27561
        there = _is_there(root, self.target)
        target = open_in_root(root, self.target, directory=True, strict=strict)
        if self.kind == "tmpfs" and there and not any(word.startswith("mode=") for word in own):
            own.append(f"mode={stat.S_IMODE(os.fstat(target).st_mode):o}")
        flags = 0
        for word in plain:
            flags = flags & ~_CLEARED.get(word, 0) | _FLAGS.get(word, 0) | FLAGS.get(word, 0)
            flags &= ~FLAGS.get(OPPOSITES.get(word, ""), 0)
        try:
            sys.mount(self.source, f"/proc/self/fd/{target}", self.kind, flags, ",".join(own))
            if TMP_COPY_UP in plain:
                self._copy_up(root, target)
        except OSError as error:
            if self.kind == "sysfs" and error.errno == errno.EPERM:
                self._bind_sysfs(root)
                return
            asked = f" with {','.join(own)}" if own else ""
            raise RuntimeFailure(f"cannot mount {self.kind} on {self.target}{asked}: {error.strerror}") from error
        finally:
            os.close(target)
        spread = [PROPAGATION[word] for word in plain if word in PROPAGATION]
        if set_ & sys.MOUNT_ATTR_NOSYMFOLLOW or spread:
            mounted = open_in_root(root, self.target, directory=True)
            sys.mount_setattr(mounted, set_ & sys.MOUNT_ATTR_NOSYMFOLLOW, propagation=spread[-1] if spread else 0)
            os.close(mounted)

    def _bind_sysfs(self, root: int) -> None:
        """Who shares the host's network in a user namespace may see its sysfs, and not mount one."""
        kept = tuple(f"r{word}" for word in self.options if word in ("ro", "nosuid", "nodev", "noexec"))
        Bind("/sys", self.target, ("rbind", "rslave", *kept)).apply(root)

    def _copy_up(self, root: int, below: int) -> None:
        """below: a descriptor of what is now covered."""
        from tuidock.runtime.copytree import copy_tree

        mounted = open_in_root(root, self.target, directory=True)
        covered = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=below)
        try:
            copy_tree(covered, f"/proc/self/fd/{mounted}/.")
        finally:
            os.close(covered)
            os.close(mounted)


_FLAGS = {
    "ro": sys.MS_RDONLY, "nosuid": sys.MS_NOSUID, "nodev": sys.MS_NODEV, "noexec": sys.MS_NOEXEC,
    "noatime": sys.MS_NOATIME, "nodiratime": sys.MS_NODIRATIME, "relatime": sys.MS_RELATIME,
    "strictatime": sys.MS_STRICTATIME,
}  # fmt: skip
_CLEARED = {"rw": sys.MS_RDONLY, "suid": sys.MS_NOSUID, "dev": sys.MS_NODEV, "exec": sys.MS_NOEXEC}


class Bind(Step):
    """A file or directory of the host, seen in the container: the same inode under a second name."""

    source: str
    """A path of the host."""
    target: str
    options: tuple[str, ...]
    tree: int = -1
    """A descriptor of the source's mount that was opened outside, where this process may not go."""

    def describe(self) -> str:
        return f"bind {self.source} on {self.target} ({','.join(self.options)})"

    def apply(self, root: int) -> None:
        recursive = sys.AT_RECURSIVE if "rbind" in self.options else 0
        set_, clear, own = attributes(self.options)
        below, open_below, _ = attributes(self.options, table=RECURSIVE)
        if own:
            raise RuntimeFailure(f"bind mount on {self.target}: no such option: {own[0]}")
        spread = [PROPAGATION[word] for word in self.options if word in PROPAGATION]
        try:
            tree = self.tree
            if tree < 0:
                tree = sys.open_tree(sys.AT_FDCWD, self.source, sys.OPEN_TREE_CLONE | recursive)
        except FileNotFoundError as error:
            hint = "-v makes a missing directory only when the container is made; make it again, then start"
            raise RuntimeFailure(f"cannot bind {self.source} on {self.target}: it is not there", hint) from error
        try:
            is_directory = stat.S_ISDIR(os.fstat(tree).st_mode)
            target = open_in_root(root, self.target, directory=is_directory)
            try:
                if stat.S_ISDIR(os.fstat(target).st_mode) != is_directory:
                    kinds = ("a directory", "a file") if is_directory else ("a file", "a directory")
                    raise RuntimeFailure(
                        f"cannot bind {self.source} on {self.target}: the first is {kinds[0]}, the second {kinds[1]}"
                    )
                sys.mount_setattr(tree, below, open_below, spread[-1] if spread else sys.MS_PRIVATE, recursive=bool(recursive))
                if set_ or clear:
                    sys.mount_setattr(tree, set_, clear)
                sys.move_mount(tree, target, self.target)
            finally:
                os.close(target)
        finally:
            os.close(tree)


class CopyUp(Step):
    """What the image has at a fresh volume's place becomes the volume's first content, with owners, modes and times."""

    source: str
    """A path of the container."""
    destination: str
    """The volume's directory on the host; only an empty one is filled."""

    def describe(self) -> str:
        return f"copy the image's {self.source} into the new volume {self.destination}"

    def apply(self, root: int) -> None:
        try:
            source = sys.openat2(root, self.source, os.O_RDONLY | os.O_DIRECTORY, sys.RESOLVE_IN_ROOT)
        except FileNotFoundError:
            return
        except NotADirectoryError as error:
            raise RuntimeFailure(f"a volume cannot be mounted on {self.source}: the image has a file there") from error
        try:
            from tuidock.runtime.copytree import copy_tree

            if not os.listdir(self.destination):
                copy_tree(source, self.destination)
        finally:
            os.close(source)


class Device(Step):
    """A device node.  runtime-spec, config-linux.md, "Default Devices"."""

    target: str
    kind: str
    """c, b or p"""
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    tree: int = -1
    """A descriptor of a node that was made outside, for a container in a user namespace."""

    def describe(self) -> str:
        return f"device {self.target} {self.kind} {self.major}:{self.minor} {self.mode:04o}"

    def apply(self, root: int) -> None:
        if self.tree >= 0:
            target = open_in_root(root, self.target, directory=False)
            sys.move_mount(self.tree, target, self.target)
            os.close(target)
            return
        directory, name = open_parent(root, self.target)
        try:
            make_node(name, self.kind, self.major, self.minor, self.mode, directory)
        except FileExistsError:
            self._is_there(directory, name, NODES[self.kind])
            return
        except PermissionError:
            self._bind(root)  # in a user namespace
            return
        try:
            os.chown(name, self.uid, self.gid, dir_fd=directory, follow_symlinks=False)
            os.chmod(f"/proc/self/fd/{directory}/{name}", self.mode)
        finally:
            os.close(directory)

    def _is_there(self, directory: int, name: str, kind: int) -> None:
        """The image may have it already; something else in its place is refused."""
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(directory)
        if stat.S_IFMT(found.st_mode) != kind or (self.kind != "p" and found.st_rdev != os.makedev(self.major, self.minor)):
            raise RuntimeFailure(f"cannot make the device {self.target}: something else is there")

    def _bind(self, root: int) -> None:
        """The host's own node in its place."""
        Bind(self.target, self.target, ("bind", "nosuid", "noexec")).apply(root)


NODES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def make_node(name: str, kind: str, major: int, minor: int, mode: int = 0o666, directory: int | None = None) -> None:
    """mknod(2).  kind: c, u, b or p; directory: a descriptor that `name` is relative to."""
    os.mknod(name, NODES[kind] | mode, os.makedev(major, minor), dir_fd=directory)


class Link(Step):
    """A symbolic link that takes the place of what is not there."""

    target: str
    to: str

    def describe(self) -> str:
        return f"link {self.target} -> {self.to}"

    def apply(self, root: int) -> None:
        directory, name = open_parent(root, self.target)
        try:
            os.symlink(self.to, name, dir_fd=directory)
        except FileExistsError:
            pass
        finally:
            os.close(directory)


class Mask(Step):
    """Something of the kernel that the container shall not read: /dev/null over a file, nothing over a directory."""

    target: str

    def describe(self) -> str:
        return f"mask {self.target}"

    def apply(self, root: int) -> None:
        try:
            target = sys.openat2(root, self.target, os.O_PATH, sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_SYMLINKS)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            if stat.S_ISDIR(os.fstat(target).st_mode):
                sys.mount("tmpfs", f"/proc/self/fd/{target}", "tmpfs", sys.MS_RDONLY, "size=0,nr_inodes=1,mode=555")
            else:
                null = sys.openat2(root, "/dev/null", os.O_PATH, sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_SYMLINKS)
                found = os.fstat(null)
                if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):  # CVE-2025-31133
                    raise Refused("/dev/null of the container is not the null device")
                tree = sys.open_tree(null, "", sys.OPEN_TREE_CLONE | sys.AT_EMPTY_PATH)
                sys.move_mount(tree, target, self.target)
                os.close(tree)
                os.close(null)
        finally:
            os.close(target)


class ReadOnly(Step):
    """Something of the kernel that the container may read and not change."""

    target: str

    def describe(self) -> str:
        return f"read-only {self.target}"

    def apply(self, root: int) -> None:
        try:
            place = sys.openat2(root, self.target, os.O_PATH, sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_SYMLINKS)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            tree = sys.open_tree(place, "", sys.OPEN_TREE_CLONE | sys.AT_RECURSIVE | sys.AT_EMPTY_PATH)
            sys.mount_setattr(tree, sys.MOUNT_ATTR_RDONLY, recursive=True)
            sys.move_mount(tree, place, self.target)
            os.close(tree)
        finally:
            os.close(place)


class Seal(Step):
    """A mount that was written to while the root was made, and is read-only from now on."""

    target: str

    def describe(self) -> str:
        return f"seal {self.target}"

    def apply(self, root: int) -> None:
        place = sys.openat2(root, self.target, os.O_PATH, sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_SYMLINKS)
        try:
            sys.mount_setattr(place, sys.MOUNT_ATTR_RDONLY)
        finally:
            os.close(place)


class Sysctl(Step):
    """A kernel parameter of one of the container's namespaces."""

    key: str
    """with dots: net.ipv4.ip_unprivileged_port_start"""
    value: str

    def describe(self) -> str:
        return f"sysctl {self.key}={self.value}"

    def apply(self, root: int) -> None:
        path = "/proc/sys/" + self.key.replace(".", "/")
        try:
            file = sys.openat2(root, path, os.O_WRONLY, sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_SYMLINKS)
        except FileNotFoundError as error:
            raise RuntimeFailure(f"sysctl {self.key}: this kernel has no such parameter") from error
        try:
            if sys.file_system_magic(file) != sys.PROC_SUPER_MAGIC:  # CVE-2025-52881
                raise Refused(f"{path} of the container does not lie on a proc file system")
            os.write(file, self.value.encode())
        except OSError as error:
            raise RuntimeFailure(f"sysctl {self.key}={self.value}: {error.strerror}") from error
        finally:
            os.close(file)


def _is_there(root: int, path: str) -> bool:
    try:
        os.close(sys.openat2(root, path, os.O_PATH, sys.RESOLVE_IN_ROOT))
    except OSError:
        return False
    return True


def open_in_root(root: int, path: str, *, directory: bool, strict: bool = False, links: int = 40) -> int:
    """A descriptor (O_PATH) of a mount point below `root`, made if it is not there: directories 0755, a file empty.

    A link to what is not there is followed too, inside the root, and what it names is made, as runc does.
    strict: refuse any symbolic link on the way.  links: how many may be followed.
    Raises RuntimeFailure where the way is closed by something else.
    """
    resolve = sys.RESOLVE_IN_ROOT | (sys.RESOLVE_NO_SYMLINKS if strict else 0)
    try:
        return sys.openat2(root, path, os.O_PATH, resolve)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise RuntimeFailure(f"cannot mount on {path}: {error.strerror}", "is a link or a file in the way?") from error
    parent, name = open_parent(root, path, strict=strict)
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent))
        return sys.openat2(parent, name, os.O_PATH | os.O_NOFOLLOW, sys.RESOLVE_BENEATH)
    except FileExistsError as error:
        if strict or not links:
            raise RuntimeFailure(f"cannot make the mount point {path}: a link is in the way") from error
        named = os.path.normpath(f"{path.rstrip('/').rpartition('/')[0]}/{name}")
        leads = os.path.join(os.path.dirname(named), os.readlink(name, dir_fd=parent))
        return open_in_root(root, leads, directory=directory, links=links - 1)
    except OSError as error:
        raise RuntimeFailure(f"cannot make the mount point {path}: {error.strerror}") from error
    finally:
        os.close(parent)


def open_parent(root: int, path: str, *, strict: bool = False) -> tuple[int, str]:
    """The directory that `path` lies in, made where missing, as a descriptor, and the last name."""
    above, _, name = path.rstrip("/").rpartition("/")
    if name in ("", ".", ".."):
        raise RuntimeFailure(f"cannot mount on {path or '/'}", "name a path below the container's root")
    if not above:
        return sys.openat2(root, "/", os.O_PATH | os.O_DIRECTORY, sys.RESOLVE_IN_ROOT), name
    return open_in_root(root, above, directory=True, strict=strict), name
