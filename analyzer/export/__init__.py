"""Records for machines: every connection and every packet as the columns of a table, and tables as text.

``connections`` and ``packets`` say what the columns are and what stands in them; the writers (``jsonl``) know
formats and nothing of TCP.
"""
