"""The manual's case study (M:3028–3293) end to end, with hours that pass in minutes.

    python -m tests.e2e.case_study --by plan            (or --by jobs; --hard: with everything going wrong on the way)

A simulated UPS on a pseudo terminal, the bridge and twelve shutdown agents run as processes of their own and talk as
they do in earnest: the serial protocol, mutual TLS on loopback addresses, pairing by invitation, magic packets. A
computer is down when its shutdown command has ended its agent, and up again when a magic packet has been heard for it.
The bridge's configuration has the manual's own times; only the clock that all of them go by is a quick one (`pace.py`).
"""
