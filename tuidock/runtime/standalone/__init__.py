"""Containers without a monitor: the OCI runtime's operations, for engines that bring their own (podman, containerd).

What `create` starts is the caller's to wait for: its parent, once `create` has ended, is the next subreaper above
(conmon, containerd-shim).  All that is known of a container is a folder with JSON in it (state.py), and a process is
known by its pid and start time.  The way from clone to execve is the one of every container (runtime/init.py), with two
stops on it (stages.py).  runtime-spec 1.2, runtime.md.
"""
