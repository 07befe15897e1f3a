"""TLS of all that listens: files that are read again, who somebody is by a certificate, and what was taken back."""
