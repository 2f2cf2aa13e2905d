"""The battery system: strings, blocks, limits, equalising, discharge, thermal runaway. Pure but for its keeper.

Numbers count from 1 everywhere: strings 1–16, blocks and their modules 1–512 through all strings, sensors 1–16 and boxes
1–4. Volts, ampere (negative while discharging), °C, milliohm, percent; seconds of the monotonic clock.
"""
