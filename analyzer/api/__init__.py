"""What callers use, from Python and from the command line: a capture analysed, its connections, their stories."""
