"""Enrolling: external user keys get their places in programs and courses, before anybody is linked."""
