"""The command line: `stratoquant`. One file a group of commands; what a command needs it imports when it runs."""
