#!/bin/sh
# demo.sh TUIDOCK: from an image to a process in a container, told by the commands themselves and by the kernel.
# It works on throw-away roots, and says at the end whether anything of them is left.
set -eu
tuidock=$1
[ "$(id -u)" = 0 ] || { echo "containers need root: sudo make demo" >&2; exit 1; }

folder=$(mktemp -d "${TUIDOCK_TEST_DIR:-/var/tmp}/tuidock-demo.XXXXXX")
export TUIDOCK_ROOT="$folder/root" TUIDOCK_RUN_ROOT="$folder/run"
take_away() {
    "$tuidock" rm --force --volumes demo >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap take_away EXIT
trap 'exit 130' INT TERM

[ -t 1 ] && bold=$(printf '\033[1m') plain=$(printf '\033[0m') || bold='' plain=''
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { title "\$ tuidock $*"; "$tuidock" "$@"; }

show image starter
show images
show run -d --name demo -h demo --net none tuidock/starter sh -c 'echo "hello from pid $$ on $(hostname)"; echo words >/written; sleep 1000'
show ps
id=$("$tuidock" inspect --format '{{.Id}}' demo)
pid=$("$tuidock" inspect --format '{{.State.Pid}}' demo)
while [ ! -e "$TUIDOCK_ROOT/containers/$id/rw/written" ]; do sleep 0.1; done
show logs demo

title "The process is pid $pid here, in namespaces of its own (/proc/$pid/ns beside those of this shell, $$):"
printf '  %-8s %-24s %s\n' kind container host
for kind in mnt pid net ipc uts cgroup user time; do
    inside=$(readlink "/proc/$pid/ns/$kind") outside=$(readlink "/proc/$$/ns/$kind")
    [ "$inside" = "$outside" ] && word=shared || word=''
    printf '  %-8s %-24s %-24s %s\n' "$kind" "$inside" "$outside" "$word"
done

title "Its root is one overlay (/proc/$pid/mountinfo), of these layers:"
grep -m 1 ' / / .* - overlay ' "/proc/$pid/mountinfo" | tr ' ,' '\n\n' | grep dir | sed "s|$TUIDOCK_ROOT|ROOT|; s/^/  /"
for layer in rw init; do
    printf '  %-5s ' "$layer"
    (cd "$TUIDOCK_ROOT/containers/$id/$layer" && find . ! -name . | sort | sed 's/^\.//' | tr '\n' ' ')
    echo
done
"$tuidock" history --no-trunc --format '  image {{.Size}}: {{.CreatedBy}}' tuidock/starter

title "\$ tuidock explain demo (the calls that matter most)"
"$tuidock" explain demo | grep -E 'unshare|lowerdir|upperdir|clone3|pivot_root|capset|seccomp|execve' | sed "s|$TUIDOCK_ROOT|ROOT|"

show run --rm --net none tuidock/starter python3 -c 'import os, platform
print("hello from Python", platform.python_version(), "as pid", os.getpid(), "on", platform.node())'

cgroup=$(sed -n 's|.*/\(tuidock[^/]*\)/.*|\1|p' "/proc/$pid/cgroup" | head -n 1)
show rm --force demo
left=$(
    find /sys/fs/cgroup /sys/class/net -maxdepth 2 -name "*${cgroup#tuidock-}*"
    grep -F "$folder" /proc/self/mountinfo || true
    ls "$TUIDOCK_ROOT/containers" "$TUIDOCK_RUN_ROOT/containers" 2>/dev/null | grep -v -e : -e '^$' || true
    [ ! -e "/proc/$pid" ] || echo "process $pid"
)
[ -z "$left" ] || { title "left behind:"; echo "$left"; exit 1; }
title "Nothing is left mounted or running."
