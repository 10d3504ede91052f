"""One submission in, one result out; and the class."""
