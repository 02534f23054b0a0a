"""What a connection's rows prove about its life, in words. Pure: no clock, no files; its kernels never raise."""
