"""Logs of strace: lines → system calls → what became of each socket. Pure: whoever has the lines passes them in."""
