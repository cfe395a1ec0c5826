"""`make doctor`: __main__ reads a cluster, rules and scheduling look at what was read, reasons knows messages."""
