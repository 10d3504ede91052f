"""One file a command group: parse the arguments, call one service, hand the result to the console."""
