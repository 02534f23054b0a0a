"""Frames to Packets: the headers of every packet as columns. Pure and compiled; never raises for what packets carry."""
