"""Commands: arguments to pipeline to renderer, and an exit status. No analysis here."""
