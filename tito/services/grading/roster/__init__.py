"""Who: the class list, names that match, and tables of any kind."""
