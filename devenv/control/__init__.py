"""What changes the world. Every change passes `guard`, and is written to the audit log."""
