"""Where machine code runs."""
