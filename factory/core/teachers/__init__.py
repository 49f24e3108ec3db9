"""Teachers' forms: how a critique is asked for, and what its text says of the steps."""
