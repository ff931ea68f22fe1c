"""Reconciliation at work: gathering the three sides, the running one and the signed one."""
