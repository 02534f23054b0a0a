"""Where packets come from: saved captures (pcap, pcapng), compressed or not, pipes, and interfaces."""
