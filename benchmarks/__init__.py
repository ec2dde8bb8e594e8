"""Measurements on a running stack, product and reference in turn in one run. A harness, not a test."""
