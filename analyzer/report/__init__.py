"""A report: one page that needs nothing else, for those who were not there. Data are made here, the page draws them.

Pure: what a report says comes in as rows, lives and octets; who reads captures and writes files is ``cli/report.py``.
"""
