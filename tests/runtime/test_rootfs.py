"""From config.json to steps, with no root needed."""

from __future__ import annotations

import pytest

from tuidock.runtime import syscalls as sys
from tuidock.runtime.mounts import Bind, CopyUp, Device, FileSystem, Link, Mask, ReadOnly, Seal, Sysctl, attributes
from tuidock.runtime.rootfs import COPY_UP, plan

CONFIG = {
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid"]},
        {"destination": "/x", "type": "bind", "source": "/y", "options": ["rbind", "ro"]},
    ],
    "linux": {
        "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o600}],
        "sysctl": {"net.a": "1"},
        "maskedPaths": ["/proc/kcore"],
        "readonlyPaths": ["/proc/sys"],
    },
}


def test_steps_come_in_the_order_in_which_they_must_be_done():
    kinds = [type(step) for step in plan(CONFIG, {})]
    order = [FileSystem, Bind, Device, Link, Sysctl, ReadOnly, Mask]
    assert sorted(kinds, key=order.index) == kinds
    assert Device("/dev/fuse", "c", 10, 229, 0o600) in plan(CONFIG, {})


def test_a_cgroup_mount_is_one_file_system_on_v2():
    assert FileSystem("cgroup2", "/sys/fs/cgroup", "cgroup", ("ro", "nosuid")) in plan(CONFIG, {})


def test_a_cgroup_mount_is_one_for_each_hierarchy_on_v1_and_is_sealed():
    steps = plan(CONFIG, {"cpu,cpuacct": "cpu,cpuacct", "memory": "memory", "unified": ""})
    assert FileSystem("cgroup", "/sys/fs/cgroup/memory", "cgroup", ("ro", "nosuid", "memory")) in steps
    assert FileSystem("cgroup2", "/sys/fs/cgroup/unified", "cgroup", ("ro", "nosuid")) in steps
    assert Link("/sys/fs/cgroup/cpuacct", "cpu,cpuacct") in steps
    assert Seal("/sys/fs/cgroup") in steps


def test_a_volume_is_filled_before_it_is_mounted():
    mount = {"destination": "/v", "type": "bind", "source": "/s", "options": ["rbind", COPY_UP]}
    assert plan({"mounts": [mount]}, {})[:2] == [CopyUp("/v", "/s"), Bind("/s", "/v", ("rbind",))]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ro", "nosuid"], (sys.MOUNT_ATTR_RDONLY | sys.MOUNT_ATTR_NOSUID, 0, [])),
        (["ro", "rw"], (0, sys.MOUNT_ATTR_RDONLY, [])),
        (["rbind", "rprivate", "mode=755"], (0, 0, ["mode=755"])),
        (["strictatime"], (sys.MOUNT_ATTR_STRICTATIME, sys.MOUNT_ATTR__ATIME, [])),
    ],
)
def test_option_words_become_attributes_and_the_last_wins(words, expected):
    assert attributes(words) == expected


def test_each_step_can_say_what_it_does():
    for step in plan(CONFIG, {"memory": "memory"}):
        assert step.describe()
