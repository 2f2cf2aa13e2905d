"""Tests of what decides when jobs are done, and of what does them."""
