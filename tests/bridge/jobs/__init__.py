"""What jobs do, tried against real peers."""
