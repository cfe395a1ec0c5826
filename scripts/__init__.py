"""The commands behind the Makefile: each module is one command or one thing that several of them need."""
