"""Public helpers for tests of machines and of stores. Nothing else in the package imports them."""
