"""What Wireshark knows: the application's decoding of chosen packets, and its view of TCP beside ours."""
