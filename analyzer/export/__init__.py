"""Records for machines: every connection and every packet as the columns of a table, and tables in formats of others.

``connections`` and ``packets`` say what the columns are and what stands in them, ``schema`` what they mean; the writers
(``text_writer`` with a notation, ``parquet``) know formats and nothing of TCP.
"""
