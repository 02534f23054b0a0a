"""tcpdump's text, octet for octet.

The text of tcpdump 4.99.3, printed by compiled kernels into one buffer. tcpdump's own idea of a packet is kept: every
printer walks the captured octets, prints as it goes, and stops where an octet is missing (``[|tcp]``); its table of
TCP conversations lives as long as the printer.

    printer     TcpdumpPrinter, TextBatch: batches of frames in, octets of text out
    options     tcpdump's print flags
    names       addresses and ports as names
    plain       the loop over a batch, for the common kinds of packets; every: for all kinds
    frame       what every packet has: time stamp, hex dump, end of line
    words       tcpdump's words for types, codes and protocols
    page        where the text goes and where the octets come from
    steps       which header comes next

One printer a protocol: ``print_x(page)`` prints the header at ``page.state[HERE]`` and gives the step that follows.
"""
