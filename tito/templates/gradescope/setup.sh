#!/usr/bin/env bash
# Gradescope starts this as root, once, when it builds the image: Python and the packages that the course was graded with.
set -euo pipefail
home=/opt/tinytorch
source=/autograder/source

works() { command -v "$1" > /dev/null && "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; }
newest() { for name in python@PYTHON@ python3.13 python3.12 python3.11 python3; do if works "$name"; then echo "$name"; return; fi; done; }

python=$(newest)
if [ -z "$python" ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  for version in @PYTHON@ 3.13 3.12 3.11; do
    if apt-get install -y --no-install-recommends "python$version" "python$version-venv"; then break; fi
  done
  python=$(newest)
fi
if [ -z "$python" ]; then
  echo "this image has no Python 3.11 or newer: choose Ubuntu 22.04 or later" >&2
  exit 1
fi

umask 022
"$python" -m venv "$home"
"$home/bin/python" -m pip install --no-cache-dir --disable-pip-version-check -r "$source/requirements.txt"
# what every run would otherwise do again: matplotlib's list of fonts, and the compiled package
MPLCONFIGDIR=$source/kit/shown/matplotlib MPLBACKEND=agg "$home/bin/python" -c 'import matplotlib.font_manager'
"$home/bin/python" -m compileall -q -d /grading --invalidation-mode unchecked-hash "$source/kit/shown"
"$home/bin/python" -m compileall -q "$source/tito"
# nothing that a submission could write into
find / -xdev \( -type d -o -type f \) -perm -0002 -exec chmod o-w {} +
chmod 1777 /tmp /var/tmp
chmod -R go-rwx "$source"
