"""What the judge is made of: one quantity against its limits, the ledger of what holds, then blocks, strings and sums."""
