"""`python -m oneshot_cli` is the `oneshot` command."""

from oneshot_cli.cli.app import main

main()
