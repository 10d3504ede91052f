"""Magics and shell commands that look around and write."""

# /// attack
# module = "02"
# status = ["graded"]
# cell_seconds = 10
# ///

# %% first
!ls -la / .. /home @PROJECT@ ; cat @SOURCE@ ; env
%cd /
%env

# %% last
%%bash
cat /proc/*/environ /etc/passwd @SOURCE@
rm -rf / 2>/dev/null
