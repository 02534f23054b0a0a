"""Packets to Connections and Labels: RFC 9293 for both endpoints of every connection. Pure and compiled."""
