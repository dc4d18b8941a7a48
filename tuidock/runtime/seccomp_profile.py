"""The default seccomp profile: what a container may ask of the kernel.  The same in effect as docker's.

A table by what calls are for, after github.com/moby/profiles, seccomp/default.json, of June 2026.  What is not in it fails
with EPERM; clone3 fails with ENOSYS, so that the C library falls back to clone, whose flags a filter can see: seccomp(2)
cannot look behind a pointer.
"""

from __future__ import annotations

ALWAYS = {
    "files by descriptor": """
        read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 close close_range dup dup2 dup3 fcntl fcntl64
        ioctl lseek _llseek fstat fstat64 fstatfs fstatfs64 fsync fdatasync sync sync_file_range syncfs
        ftruncate ftruncate64 fallocate fadvise64 fadvise64_64 readahead flock copy_file_range sendfile
        sendfile64 splice tee vmsplice getdents getdents64 fchdir fchmod fchown fchown32 memfd_create cachestat
        fchmodat2 map_shadow_stack""",
    "files by name": """
        open openat openat2 creat access faccessat faccessat2 stat stat64 lstat lstat64 newfstatat fstatat64 statx statfs
        statfs64 truncate truncate64 chdir getcwd mkdir mkdirat rmdir mknod mknodat link linkat symlink symlinkat unlink
        unlinkat rename renameat renameat2 readlink readlinkat chmod fchmodat chown chown32 lchown lchown32 fchownat utime
        utimes utimensat utimensat_time64 futimesat umask name_to_handle_at listmount statmount""",
    "extended attributes": """
        getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr removexattr lremovexattr
        fremovexattr getxattrat setxattrat listxattrat removexattrat""",
    "memory": """
        brk mmap mmap2 munmap mprotect mremap madvise msync mincore mlock mlock2 mlockall munlock munlockall
        remap_file_pages pkey_alloc pkey_free pkey_mprotect membarrier memfd_secret process_mrelease mseal""",
    "processes": """
        fork vfork execve execveat exit exit_group wait4 waitpid waitid kill tkill tgkill pidfd_open pidfd_send_signal getpid
        getppid gettid getpgid setpgid getpgrp getsid setsid set_tid_address set_robust_list get_robust_list set_thread_area
        get_thread_area getcpu rseq prctl capget capset seccomp landlock_create_ruleset landlock_add_rule
        landlock_restrict_self uretprobe riscv_hwprobe""",
    "users and groups": """
        getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32
        getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32
        setresgid setresgid32 setgroups setgroups32 setfsuid setfsuid32 setfsgid setfsgid32""",
    "signals": """
        rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_sigqueueinfo
        rt_tgsigqueueinfo rt_sigreturn sigaltstack signalfd signalfd4 sigprocmask sigreturn pause restart_syscall alarm""",
    "time": """
        time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep
        clock_nanosleep_time64 nanosleep getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime
        timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
        timerfd_settime64 times adjtimex clock_adjtime clock_adjtime64""",
    "waiting": """
        select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl
        epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 futex futex_time64 futex_waitv
        futex_wait futex_wake futex_requeue inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
        io_setup io_submit io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64""",
    "pipes, queues, shared memory": """
        pipe pipe2 mq_open mq_unlink mq_notify mq_getsetattr mq_timedsend mq_timedsend_time64 mq_timedreceive
        mq_timedreceive_time64 msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl
        shmdt shmget ipc""",
    "sockets": """
        socketcall socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt send
        sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64""",
    "scheduling, limits, what the system is": """
        sched_yield sched_getparam sched_setparam sched_getscheduler sched_setscheduler sched_getaffinity sched_setaffinity
        sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval
        sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set getrlimit setrlimit ugetrlimit
        prlimit64 getrusage sysinfo uname getrandom""",
}
"""For whoever; a name that an architecture or an older library does not know is left out there."""

WITH_CAPABILITY = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
        lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
        sethostname setns syslog umount umount2 unshare""",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module init_module finit_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "iopl ioperm",
    "CAP_SYS_TIME": "settimeofday stime clock_settime clock_settime64",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYSLOG": "syslog",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
}
"""For a container that has the capability."""

SINCE_4_8 = "process_vm_readv process_vm_writev ptrace"
"""For whoever, since the kernel checks a traced process's calls after its tracer has changed them (Linux 4.8)."""

ON_X86 = "arch_prctl modify_ldt"
ON_ARM = "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"

PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)
"""Linux, Linux on 32 bits, and both with the name of an old release; the last one asks only."""

NAMESPACE_FLAGS = 0x7E020000
"""CLONE_NEW*: mnt, cgroup, uts, ipc, user, pid, net."""

LAST_FAMILY = 45
FAMILIES_REFUSED = (12, 19, 20, 23, 25, 34, 37, 38, 40)
"""Of socket(2): AF_ALG (38, the kernel's cryptography, often wrong), AF_VSOCK (40, out of a virtual machine), and those
that no kernel of today has or nobody uses: DECnet, Econet, ATM SVC, IrDA, WANPIPE, ISDN, CAIF.  And all after AF_MCTP."""
