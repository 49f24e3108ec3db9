"""Where models and untrusted things run. Knows nothing of recipes."""
