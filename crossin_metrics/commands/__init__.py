"""One module per `crossin` sub-command: `add_arguments(parser)` and `run(args)`."""
