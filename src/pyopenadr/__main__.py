"""`python -m pyopenadr`: the command line."""

from pyopenadr.cli import main

if __name__ == "__main__":
    main()
