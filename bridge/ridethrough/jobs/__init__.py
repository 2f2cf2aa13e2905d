"""What a job does, one module each."""
