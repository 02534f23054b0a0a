"""What a connection's rows prove about its life, in words. Pure: no clock, no files; its kernels never raise.

What this machine itself knows of its connections (processes.py, kernel_states.py) is read from the kernel's tables, for
live capture alone.
"""
