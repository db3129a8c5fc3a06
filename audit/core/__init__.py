"""The pure part of the audit: no log, no clock."""
