"""tito: the command-line tool of TinyTorch."""
