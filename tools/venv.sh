#!/bin/sh
# venv.sh DIR [PYTHON]: a virtual environment in DIR with tuidock (editable) and what its checks need.
#
# PYTHON may be a path or a name; empty looks for the first interpreter of 3.11 or newer.  A shim (pyenv, asdf) is
# followed to the interpreter behind it: through a shim every start would cost a tenth of a second more.
set -eu
venv=$1 wanted=${2:-}

interpreter() { # the real path of an interpreter that is new enough, or nothing
    command -v "$1" >/dev/null 2>&1 || return 1
    "$1" -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1); print(getattr(sys, "_base_executable", 0) or sys.executable)' 2>/dev/null
}

python=
for name in ${wanted:-python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11}; do
    python=$(interpreter "$name") && break
done
if [ -z "$python" ]; then
    echo "tuidock needs Python 3.11 or newer${wanted:+, and $wanted is not}; make PYTHON=/path/to/python3.11 takes another one" >&2
    exit 1
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then # Debian and Ubuntu keep it in a package of its own
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing python3-venv with apt-get: $python cannot make a virtual environment without it"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$python cannot make a virtual environment: install its venv package (Debian, Ubuntu: apt-get install python3-venv)" >&2
        exit 1
    fi
fi

echo "setting up $venv with $python ($("$python" -V))"
rm -rf "$venv"
"$python" -m venv "$venv"
pip="$venv/bin/python -m pip --quiet --disable-pip-version-check --no-input"
# The pip of Debian 12 writes a `tuidock` command that imports `re`: 6 ms at every start.  That of today does not.
# setuptools, where venv still brings it, hooks itself into every start too.
$pip install --upgrade pip
$pip uninstall --yes setuptools 2>/dev/null
$pip install --editable '.[dev]'
