"""The simulators: physics against closed forms, faces over real pseudo terminals, control over real HTTP."""
