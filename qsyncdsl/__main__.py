"""`python -m qsyncdsl`, for where the command is not on the path."""

from qsyncdsl.cli import main

if __name__ == "__main__":
    main()
