"""The NUT link: against recordings, a scripted upsd, and Debian's real one."""
