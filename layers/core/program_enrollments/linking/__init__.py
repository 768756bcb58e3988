"""Linking: external user keys get their LMS accounts."""
